/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal constants and layouts of the Linux ABI (x86-64). Nothing else. */
#ifndef SENTRY_FS_TTY_TERMIOS_H
#define SENTRY_FS_TTY_TERMIOS_H

#include "base/util.h"

#define LINUX_NCCS 19

/* struct termios2; struct termios is its first 36 bytes. */
struct linux_termios {
	uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t c_line;
	uint8_t c_cc[LINUX_NCCS];
	uint32_t c_ispeed, c_ospeed;
};
_Static_assert(sizeof(struct linux_termios) == 44, "struct termios2 layout");
#define LINUX_TERMIOS_SIZE 36

/* struct termio (TCGETA). */
struct linux_termio {
	uint16_t c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t c_line, c_cc[8], _pad;
};
_Static_assert(sizeof(struct linux_termio) == 18, "struct termio layout");

struct linux_winsize {
	uint16_t ws_row, ws_col, ws_xpixel, ws_ypixel;
};

enum { CC_INTR, CC_QUIT, CC_ERASE, CC_KILL, CC_EOF, CC_TIME, CC_MIN, CC_SWTC, CC_START, CC_STOP, CC_SUSP, CC_EOL, CC_REPRINT,
       CC_DISCARD, CC_WERASE, CC_LNEXT, CC_EOL2 };

/* c_iflag */
#define TI_IGNBRK 0001u
#define TI_BRKINT 0002u
#define TI_PARMRK 0010u
#define TI_ISTRIP 0040u
#define TI_INLCR  0100u
#define TI_IGNCR  0200u
#define TI_ICRNL  0400u
#define TI_IUCLC  01000u
#define TI_IXON   02000u
#define TI_IXANY  04000u
#define TI_IXOFF  010000u
#define TI_IMAXBEL 020000u
#define TI_IUTF8  040000u
/* c_oflag */
#define TO_OPOST  01u
#define TO_OLCUC  02u
#define TO_ONLCR  04u
#define TO_OCRNL  010u
#define TO_ONOCR  020u
#define TO_ONLRET 040u
#define TO_TABDLY 014000u
#define TO_XTABS  014000u
/* c_cflag */
#define TC_CBAUD  010017u
#define TC_B38400 017u
#define TC_CSIZE  060u
#define TC_CS8    060u
#define TC_CREAD  0200u
#define TC_PARENB 0400u
#define TC_CLOCAL 04000u
#define TC_BOTHER 010000u
#define TC_IBSHIFT 16
/* c_lflag */
#define TL_ISIG    01u
#define TL_ICANON  02u
#define TL_ECHO    010u
#define TL_ECHOE   020u
#define TL_ECHOK   040u
#define TL_ECHONL  0100u
#define TL_NOFLSH  0200u
#define TL_TOSTOP  0400u
#define TL_ECHOCTL 01000u
#define TL_ECHOPRT 02000u
#define TL_ECHOKE  04000u
#define TL_IEXTEN  0100000u
#define TL_EXTPROC 0200000u

/* ioctl(2) */
#define LINUX_TCGETS   0x5401u
#define LINUX_TCSETS   0x5402u
#define LINUX_TCSETSW  0x5403u
#define LINUX_TCSETSF  0x5404u
#define LINUX_TCGETA   0x5405u
#define LINUX_TCSETA   0x5406u
#define LINUX_TCSETAW  0x5407u
#define LINUX_TCSETAF  0x5408u
#define LINUX_TCSBRK   0x5409u
#define LINUX_TCXONC   0x540Au
#define LINUX_TCFLSH   0x540Bu
#define LINUX_TIOCEXCL 0x540Cu
#define LINUX_TIOCGSOFTCAR 0x5419u
#define LINUX_TIOCSSOFTCAR 0x541Au
#define LINUX_TIOCGLCKTRMIOS 0x5456u
#define LINUX_TIOCSLCKTRMIOS 0x5457u
#define LINUX_TIOCNXCL 0x540Du
#define LINUX_TIOCSCTTY 0x540Eu
#define LINUX_TIOCGPGRP 0x540Fu
#define LINUX_TIOCSPGRP 0x5410u
#define LINUX_TIOCOUTQ  0x5411u
#define LINUX_TIOCSTI   0x5412u
#define LINUX_TIOCGWINSZ 0x5413u
#define LINUX_TIOCSWINSZ 0x5414u
#define LINUX_TIOCPKT   0x5420u
#define LINUX_TIOCNOTTY 0x5422u
#define LINUX_TIOCSETD  0x5423u
#define LINUX_TIOCGETD  0x5424u
#define LINUX_TCSBRKP   0x5425u
#define LINUX_TIOCSBRK  0x5427u
#define LINUX_TIOCCBRK  0x5428u
#define LINUX_TIOCGSID  0x5429u
#define LINUX_TCGETS2   0x802C542Au
#define LINUX_TCSETS2   0x402C542Bu
#define LINUX_TCSETSW2  0x402C542Cu
#define LINUX_TCSETSF2  0x402C542Du
#define LINUX_TIOCGPTN  0x80045430u
#define LINUX_TIOCSPTLCK 0x40045431u
#define LINUX_TIOCGDEV  0x80045432u
#define LINUX_TIOCSIG   0x40045436u
#define LINUX_TIOCVHANGUP 0x5437u
#define LINUX_TIOCGPKT  0x80045438u
#define LINUX_TIOCGPTLCK 0x80045439u
#define LINUX_TIOCGEXCL 0x80045440u
#define LINUX_TIOCGPTPEER 0x5441u

#define PKT_FLUSHREAD  1
#define PKT_FLUSHWRITE 2
#define PKT_STOP       4
#define PKT_START      8
#define PKT_NOSTOP     16
#define PKT_DOSTOP     32
#define PKT_IOCTL      64

#endif
