/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of lines that is shown again and again: drawn in place on a terminal, printed one below
 * the other elsewhere.
 *
 *	            begin                    SIGTSTP
 *	  (as found) ------> taken over ----------------> (as found, stopped)
 *	     ^                 |    ^                          |
 *	     '----- end -------'    '--------- SIGCONT --------'
 *
 * While it is taken over, SIGINT, SIGTERM, SIGHUP, SIGTSTP and SIGWINCH are blocked and answered in
 * rg_screen_wait(), so that the terminal is given back as it was found however the program ends.
 *
 * Thread-safety: one screen a process, one thread.
 */
#ifndef RG_TOOLS_RISKCTL_SCREEN_H
#define RG_TOOLS_RISKCTL_SCREEN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "base/error.h"

#define RG_SCREEN_COLUMNS_MAX 400

struct rg_screen {
	bool terminal; /* drawn in place; else printed */
	bool keys;     /* standard input is a terminal too */
	unsigned columns, rows;
	unsigned used; /* lines of the page so far */
	char *text;    /* the page */
	size_t bytes, capacity;
	int signals; /* signalfd */
	sigset_t mask_before;
	struct termios before; /* of standard input, when keys */
};

enum rg_screen_event { RG_SCREEN_TIME, RG_SCREEN_RESIZED, RG_SCREEN_QUIT };

/* Take the terminal over if standard output is one and `plain` is false; else lines are printed as
 * they are. Errors: RG_EIO. */
int rg_screen_begin(struct rg_screen *screen, bool plain, struct rg_error *err);
/* Give it back. Harmless twice. */
void rg_screen_end(struct rg_screen *screen);

/* Begin a page: look how large the terminal is, and forget the lines. */
void rg_screen_page(struct rg_screen *screen);
/* Add a line. On a terminal it is cut at its width, and left out below its last row; control
 * characters become '?', whoever sent them. */
void rg_screen_line(struct rg_screen *screen, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Rows that are left on the terminal; many elsewhere. */
unsigned rg_screen_rows_left(const struct rg_screen *screen);
/* Show the page. */
void rg_screen_show(struct rg_screen *screen);

/* Wait so long, or until the terminal has another size, or until the user wants to leave: the key
 * q, SIGINT, SIGTERM, SIGHUP. Elsewhere only time passes. */
enum rg_screen_event rg_screen_wait(struct rg_screen *screen, uint64_t wait_ns);

#endif
