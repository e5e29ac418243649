/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the failpoints of the program it stands for, one a line: kills.py wants a scenario for
 * each. */
#include <stdio.h>

#include "base/failpoint.h"

int main(void)
{
	const struct rg_failpoint *point;

	for (size_t i = 0; (point = rg_failpoint_at(i)); i++)
		puts(point->name);
	return 0;
}
