/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of ioctl(2): request names and the arguments of the common ones. */
#include <asm/termbits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <linux/termios.h>

#include "sentry/syscalls/strace/internal.h"

static const struct xlat x_ioctl[] = {
	X(TCGETS), X(TCSETS), X(TCSETSW), X(TCSETSF), X(TCGETA), X(TCSETA), X(TCSETAW), X(TCSETAF), X(TCSBRK), X(TCXONC), X(TCFLSH), X(TIOCEXCL),
	X(TIOCNXCL), X(TIOCSCTTY), X(TIOCGPGRP), X(TIOCSPGRP), X(TIOCOUTQ), X(TIOCSTI), X(TIOCGWINSZ), X(TIOCSWINSZ), X(TIOCMGET), X(FIONREAD),
	X(TIOCLINUX), X(TIOCCONS), X(TIOCPKT), X(FIONBIO), X(TIOCNOTTY), X(TIOCSETD), X(TIOCGETD), X(TCSBRKP), X(TIOCGSID), { 0x802c542a, "TCGETS2" },
	{ 0x402c542b, "TCSETS2" }, X(TIOCGPTN), X(TIOCSPTLCK), X(TIOCGPTPEER), X(FIONCLEX), X(FIOCLEX), X(FIOASYNC), X(FIOSETOWN), X(FIOGETOWN),
	X(SIOCATMARK), X(SIOCGSTAMP_OLD), X(SIOCGIFNAME), X(SIOCGIFCONF), X(SIOCGIFFLAGS), X(SIOCSIFFLAGS), X(SIOCGIFADDR), X(SIOCGIFNETMASK),
	X(SIOCGIFBRDADDR), X(SIOCGIFHWADDR), X(SIOCGIFINDEX), X(SIOCGIFMTU), X(SIOCETHTOOL), X(SIOCOUTQNSD), X(FS_IOC_GETFLAGS), X(FS_IOC_SETFLAGS),
	X(FS_IOC_GETVERSION), X(FS_IOC_FSGETXATTR), X(FICLONE), X(FICLONERANGE), X(FIDEDUPERANGE), X(FIBMAP), X(FIGETBSZ), X(FIFREEZE), X(FITHAW),
	X(FS_IOC_FIEMAP), X(BLKGETSIZE), X(BLKGETSIZE64), X(BLKSSZGET), X(NS_GET_USERNS), X(NS_GET_PARENT), X(NS_GET_NSTYPE), X(NS_GET_OWNER_UID),
	X(TUNSETIFF), XEND,
};

bool k_IOCTL(struct dec *d, uint64_t v)
{
	static const char *const dirs[] = { "_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE" };
	const char *n = xlat_name(x_ioctl, (uint32_t)v);

	if (n)
		strbuf_adds(&d->b, n);
	else
		strbuf_addf(&d->b, "_IOC(%s, %#x, %#x, %#x)", dirs[v >> 30 & 3], (unsigned)(v >> 8 & 0xff), (unsigned)(v & 0xff),
			    (unsigned)(v >> 16 & 0x3fff));
	return true;
}

static const struct xlat x_iflag[] = {
	X(IGNBRK), X(BRKINT), X(IGNPAR), X(PARMRK), X(INPCK), X(ISTRIP), X(INLCR), X(IGNCR), X(ICRNL), X(IUCLC), X(IXON), X(IXANY), X(IXOFF),
	X(IMAXBEL), X(IUTF8), XEND,
};
static const struct xlat x_oflag[] = { X(OPOST), X(OLCUC), X(ONLCR), X(OCRNL), X(ONOCR), X(ONLRET), X(OFILL), X(OFDEL), XEND };
static const struct xlat x_cflag[] = { X(CSTOPB), X(CREAD), X(PARENB), X(PARODD), X(HUPCL), X(CLOCAL), XEND };
static const struct xlat x_lflag[] = {
	X(ISIG), X(ICANON), X(ECHO), X(ECHOE), X(ECHOK), X(ECHONL), X(NOFLSH), X(TOSTOP), X(IEXTEN), X(XCASE), X(ECHOCTL), X(ECHOPRT), X(ECHOKE),
	X(FLUSHO), X(PENDIN), X(EXTPROC), XEND,
};
static const struct xlat x_baud[] = {
	X(B0), X(B50), X(B300), X(B1200), X(B2400), X(B4800), X(B9600), X(B19200), X(B38400), X(B57600), X(B115200), X(B230400), XEND,
};
static const struct xlat x_csize[] = { X(CS5), X(CS6), X(CS7), X(CS8), XEND };

static void put_termios(struct dec *d, uint64_t v)
{
	struct termios t;

	if (!dec_read(d, v, &t, sizeof(t))) {
		dec_ptr(d, v);
		return;
	}
	strbuf_adds(&d->b, "{c_iflag=");
	dec_flags(d, x_iflag, t.c_iflag, NULL);
	strbuf_addf(&d->b, ", c_oflag=NL%d|CR%d|TAB%d|BS%d|VT%d|FF%d", (int)(t.c_oflag >> 8 & 1), (int)(t.c_oflag >> 9 & 3), (int)(t.c_oflag >> 11 & 3),
		    (int)(t.c_oflag >> 13 & 1), (int)(t.c_oflag >> 14 & 1), (int)(t.c_oflag >> 15 & 1));
	if (t.c_oflag & 0xff) {
		strbuf_addc(&d->b, '|');
		dec_flags(d, x_oflag, t.c_oflag & 0xff, NULL);
	}
	strbuf_adds(&d->b, ", c_cflag=");
	dec_value(d, x_baud, t.c_cflag & CBAUD, NULL);
	strbuf_addc(&d->b, '|');
	dec_value(d, x_csize, t.c_cflag & CSIZE, NULL);
	if (t.c_cflag & ~(uint32_t)(CBAUD | CSIZE | CIBAUD)) {
		strbuf_addc(&d->b, '|');
		dec_flags(d, x_cflag, t.c_cflag & ~(uint32_t)(CBAUD | CSIZE | CIBAUD), NULL);
	}
	strbuf_adds(&d->b, ", c_lflag=");
	dec_flags(d, x_lflag, t.c_lflag, NULL);
	strbuf_adds(&d->b, ", ...}");
}

static void put_winsize(struct dec *d, uint64_t v)
{
	struct winsize w;

	if (dec_read(d, v, &w, sizeof(w)))
		strbuf_addf(&d->b, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
	else
		dec_ptr(d, v);
}

static void put_int(struct dec *d, uint64_t v)
{
	int n;

	if (dec_read(d, v, &n, sizeof(n)))
		strbuf_addf(&d->b, "[%d]", n);
	else
		dec_ptr(d, v);
}

bool k_IOCTLARG(struct dec *d, uint64_t v)
{
	void (*put)(struct dec *d, uint64_t v) = NULL;
	bool out = false;

	switch ((uint32_t)d->a[1]) {
	case FIOCLEX: case FIONCLEX: case TIOCNOTTY: case TIOCEXCL: case TIOCNXCL: case NS_GET_USERNS: case NS_GET_PARENT: case NS_GET_NSTYPE:
		return true;
	case TCGETS:
		put = put_termios;
		out = true;
		break;
	case TCSETS: case TCSETSW: case TCSETSF:
		put = put_termios;
		break;
	case TIOCGWINSZ:
		put = put_winsize;
		out = true;
		break;
	case TIOCSWINSZ:
		put = put_winsize;
		break;
	case FIONREAD: case TIOCOUTQ: case TIOCGPGRP: case TIOCGSID: case TIOCGPTN: case TIOCGETD: case SIOCATMARK: case FS_IOC_GETFLAGS:
	case FIOGETOWN: case TIOCMGET:
		put = put_int;
		out = true;
		break;
	case TIOCSPGRP: case FIONBIO: case FIOASYNC: case TIOCSPTLCK: case TIOCSETD: case TIOCPKT: case FS_IOC_SETFLAGS: case FIOSETOWN:
		put = put_int;
		break;
	case TCSBRK: case TCSBRKP: case TCXONC: case TCFLSH: case TIOCSCTTY: case FICLONE:
		return k_INT(d, v);
	case TIOCGPTPEER:
		return k_HEX(d, v);
	default:
		dec_hex(d, v);
		return true;
	}
	if (out && !d->exit)
		return false;
	if (out && dec_failed(d))
		dec_ptr(d, v);
	else
		put(d, v);
	return true;
}
