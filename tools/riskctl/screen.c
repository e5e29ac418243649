/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing a page of lines in place, with the few control sequences that every terminal knows. */
#include "tools/riskctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tools/riskctl/clock.h"

#define ENTER	   "\033[?1049h\033[?25l" /* the alternate screen, no cursor */
#define LEAVE	   "\033[?25h\033[?1049l"
#define HOME	   "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_DOWN "\033[J"

/* What a terminal that does not tell its size is taken for. */
enum { COLUMNS = 80, ROWS = 24 };

static void put(const char *text)
{
	fputs(text, stdout);
	fflush(stdout);
}

static void find_size(struct rg_screen *screen)
{
	struct winsize size;

	screen->columns = COLUMNS;
	screen->rows = ROWS;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
		return;
	screen->columns = size.ws_col < RG_SCREEN_COLUMNS_MAX ? size.ws_col : RG_SCREEN_COLUMNS_MAX;
	screen->rows = size.ws_row;
}

/* Keys come one by one and are not shown; Ctrl-C stays a signal. */
static void take_over(struct rg_screen *screen)
{
	struct termios raw = screen->before;

	if (screen->keys) {
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	put(ENTER);
}

static void give_back(struct rg_screen *screen)
{
	put(LEAVE);
	if (screen->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
}

int rg_screen_begin(struct rg_screen *screen, bool plain, struct rg_error *err)
{
	const char *kind = getenv("TERM");
	sigset_t signals;

	*screen = (struct rg_screen){.signals = -1, .columns = COLUMNS, .rows = UINT32_MAX};
	if (plain || !isatty(STDOUT_FILENO) || !kind || strcmp(kind, "dumb") == 0)
		return RG_OK;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGTSTP);
	sigaddset(&signals, SIGWINCH);
	screen->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (screen->signals < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "signalfd");
	sigprocmask(SIG_BLOCK, &signals, &screen->mask_before);
	screen->terminal = true;
	screen->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &screen->before) == 0;
	find_size(screen);
	take_over(screen);
	return RG_OK;
}

void rg_screen_end(struct rg_screen *screen)
{
	if (screen->terminal) {
		give_back(screen);
		close(screen->signals);
		sigprocmask(SIG_SETMASK, &screen->mask_before, NULL);
		screen->terminal = false;
	}
	free(screen->text);
	screen->text = NULL;
	screen->capacity = 0;
}

void rg_screen_page(struct rg_screen *screen)
{
	if (screen->terminal)
		find_size(screen);
	screen->used = 0;
	screen->bytes = 0;
}

unsigned rg_screen_rows_left(const struct rg_screen *screen)
{
	return screen->rows - screen->used;
}

static void append(struct rg_screen *screen, const char *text, size_t bytes)
{
	if (screen->bytes + bytes > screen->capacity) {
		size_t capacity = 2 * (screen->bytes + bytes) + 4096;
		char *larger = realloc(screen->text, capacity);

		if (!larger)
			return; /* the page is a line shorter; the next one may have it */
		screen->text = larger;
		screen->capacity = capacity;
	}
	memcpy(screen->text + screen->bytes, text, bytes);
	screen->bytes += bytes;
}

/* Bytes of the first `columns` characters of a UTF-8 text. */
static size_t bytes_of(const char *text, unsigned columns)
{
	size_t bytes = 0;

	for (; text[bytes]; bytes++)
		if (((unsigned char)text[bytes] & 0xc0) != 0x80 && !columns--)
			break;
	return bytes;
}

void rg_screen_line(struct rg_screen *screen, const char *format, ...)
{
	char line[4 * RG_SCREEN_COLUMNS_MAX];
	va_list args;
	size_t bytes;

	if (screen->used >= screen->rows)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (unsigned char *at = (unsigned char *)line; *at; at++)
		if (*at < ' ' || *at == 0x7f)
			*at = '?';
	bytes = screen->terminal ? bytes_of(line, screen->columns) : strlen(line);
	while (bytes && line[bytes - 1] == ' ')
		bytes--;
	/* The end of a line goes before it: one below the last row would scroll. */
	if (screen->terminal && screen->used)
		append(screen, "\n", 1);
	append(screen, line, bytes);
	if (screen->terminal)
		append(screen, CLEAR_LINE, strlen(CLEAR_LINE));
	else
		append(screen, "\n", 1);
	screen->used++;
}

void rg_screen_show(struct rg_screen *screen)
{
	if (screen->terminal)
		fputs(HOME, stdout);
	fwrite(screen->text, 1, screen->bytes, stdout);
	if (screen->terminal)
		fputs(CLEAR_DOWN, stdout);
	fflush(stdout);
}

/* Ctrl-Z: give the terminal back, stop for real, and take it over when we go on. */
static void stop_and_go_on(struct rg_screen *screen)
{
	sigset_t stop;

	give_back(screen);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL); /* here it stops */
	sigprocmask(SIG_BLOCK, &stop, NULL);
	take_over(screen);
}

/* What the signals that came ask for. */
static enum rg_screen_event answer_signals(struct rg_screen *screen)
{
	enum rg_screen_event event = RG_SCREEN_TIME;
	struct signalfd_siginfo signal;

	while (read(screen->signals, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
		if (signal.ssi_signo == SIGTSTP)
			stop_and_go_on(screen);
		else if (signal.ssi_signo != SIGWINCH)
			return RG_SCREEN_QUIT;
		event = RG_SCREEN_RESIZED;
	}
	return event;
}

static enum rg_screen_event answer_keys(struct rg_screen *screen)
{
	char keys[64];
	ssize_t count = read(STDIN_FILENO, keys, sizeof(keys));

	if (count <= 0)
		screen->keys = false; /* the terminal is gone; SIGHUP tells */
	for (ssize_t i = 0; i < count; i++)
		if (keys[i] == 'q' || keys[i] == 'Q')
			return RG_SCREEN_QUIT;
	return RG_SCREEN_TIME;
}

enum rg_screen_event rg_screen_wait(struct rg_screen *screen, uint64_t wait_ns)
{
	uint64_t until_ns = rg_clock_monotonic_ns() + wait_ns;

	for (;;) {
		struct pollfd sources[2] = {
			{.fd = screen->terminal ? screen->signals : -1, .events = POLLIN},
			{.fd = screen->keys ? STDIN_FILENO : -1, .events = POLLIN}};
		uint64_t now_ns = rg_clock_monotonic_ns();
		uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
		enum rg_screen_event event = RG_SCREEN_TIME;
		struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000),
					.tv_nsec = (long)(left_ns % 1000000000)};
		int ready = ppoll(sources, 2, &left, NULL);

		if (ready > 0 && sources[0].revents)
			event = answer_signals(screen);
		if (ready > 0 && event == RG_SCREEN_TIME && sources[1].revents)
			event = answer_keys(screen);
		if (event != RG_SCREEN_TIME || (ready == 0 && !left_ns))
			return event;
	}
}
