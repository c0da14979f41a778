# SPDX-License-Identifier: BSD-2-Clause
"""What Python's socket module does not know of MPTCP."""
import socket

IPPROTO_MPTCP = 262
TCP_IS_MPTCP = 43
SOL_MPTCP, MPTCP_INFO, MPTCP_INFO_FALLBACK = 284, 1, 1


def speaks_mptcp(sock):
    """Kernels before TCP_IS_MPTCP answer for MPTCP_INFO, unless the connection fell back."""
    try:
        return bool(sock.getsockopt(socket.IPPROTO_TCP, TCP_IS_MPTCP))
    except OSError:
        pass
    try:
        flags = sock.getsockopt(SOL_MPTCP, MPTCP_INFO, 12)[8]
        return not flags & MPTCP_INFO_FALLBACK
    except OSError:
        return False
