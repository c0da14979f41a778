/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a fuzz target is: one function, called with arbitrary bytes, that aborts when a property it
 * checks does not hold. libFuzzer calls it (`make fuzz`), and so does replay.c with the seeds.
 */
#ifndef MG_TESTS_FUZZ_H
#define MG_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FUZZ_CHECK(property)                                                              \
	do {                                                                              \
		if (!(property)) {                                                        \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#property);                                               \
			abort();                                                          \
		}                                                                         \
	} while (0)

#endif
