package rfb

import (
	"bytes"
	"crypto/des" //nolint:gosec // the protocol's own choice
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The security types.
const (
	securityNone = 1
	securityVNC  = 2
)

const (
	maxReason = 4 << 10 // of a server's explanation that is kept
	maxText   = 1 << 20 // of any text that is read at all
)

// handshake goes from the greeting to the point where updates can be asked for.
func (c *Conn) handshake() error {
	minor, err := c.version()
	if err == nil {
		err = c.security(minor)
	}
	if err == nil {
		err = c.initialise()
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("rfb: the server hung up during the handshake: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// say writes a part of the handshake. That this fails is found out by the read
// that follows, which may first show why: what the server said before it hung up.
func (c *Conn) say(p []byte) { _, _ = c.rw.Write(p) }

// version settles on the highest version that both sides know. The answer is one
// of the three that exist: servers that announce others expect that.
func (c *Conn) version() (minor int, err error) {
	var greeting [12]byte
	if n, err := io.ReadFull(c.r, greeting[:]); err != nil {
		if n > 0 && !bytes.HasPrefix([]byte("RFB "), greeting[:min(n, 4)]) {
			return 0, violation("the server does not greet with RFB but with %q", greeting[:n])
		}
		return 0, err
	}
	var major int
	if _, err := fmt.Sscanf(string(greeting[:]), "RFB %03d.%03d\n", &major, &minor); err != nil || greeting[11] != '\n' {
		return 0, violation("the server does not greet with RFB but with %q", greeting[:])
	}
	switch {
	case major < 3 || major == 3 && minor < 3:
		return 0, violation("the server speaks version %d.%d, which is too old", major, minor)
	case major > 3 || minor >= 8:
		minor = 8
	case minor < 7:
		minor = 3
	default:
		minor = 7
	}
	c.say(fmt.Appendf(nil, "RFB 003.%03d\n", minor))
	return minor, nil
}

// security agrees on how to log in, and does.
func (c *Conn) security(minor int) error {
	kind, err := c.securityType(minor)
	if err != nil {
		return err
	}
	if kind == securityVNC {
		var challenge [16]byte
		if err := c.read(challenge[:]); err != nil {
			return err
		}
		c.say(respond(c.opts.Password, challenge))
	} else if minor < 8 {
		return nil // no result is sent
	}
	var result [4]byte
	err = c.read(result[:])
	if kind == securityVNC && errors.Is(err, io.EOF) {
		// Some servers just hang up on a wrong password.
		return &AuthError{Message: "the server hung up after the password", Password: true}
	}
	if err != nil {
		return err
	}
	code := binary.BigEndian.Uint32(result[:])
	if code == 0 {
		return nil
	}
	reason := ""
	if minor >= 8 {
		reason, _ = c.text()
	}
	if reason == "" && code == 2 {
		reason = "too many attempts"
	}
	if reason == "" {
		reason = "no reason given"
	}
	if kind == securityNone {
		return &AuthError{Message: "the server refuses the connection: " + reason}
	}
	return &AuthError{Message: "the server refuses the password: " + reason, Password: code != 2}
}

func (c *Conn) securityType(minor int) (byte, error) {
	refused := func() error {
		reason, err := c.text()
		if err != nil && reason == "" {
			reason = "no reason given"
		}
		return &AuthError{Message: "the server refuses the connection: " + reason}
	}
	if minor == 3 { // the server decides
		var word [4]byte
		if err := c.read(word[:]); err != nil {
			return 0, err
		}
		switch kind := binary.BigEndian.Uint32(word[:]); kind {
		case 0:
			return 0, refused()
		case securityNone, securityVNC:
			return byte(kind), nil
		default:
			return 0, &AuthError{Message: fmt.Sprintf("the server wants security type %d, which is not known here", kind)}
		}
	}
	n, err := c.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, refused()
	}
	offered := make([]byte, n)
	if err := c.read(offered); err != nil {
		return 0, err
	}
	for _, kind := range []byte{securityNone, securityVNC} {
		if bytes.IndexByte(offered, kind) >= 0 {
			c.say([]byte{kind})
			return kind, nil
		}
	}
	return 0, &AuthError{Message: fmt.Sprintf("the server offers only the security types %v, of which none is known here (none and VNC authentication are)", offered)}
}

// respond encrypts the challenge with the password, of which eight bytes count,
// each with its bits in reverse.
func respond(password string, challenge [16]byte) []byte {
	var key [8]byte
	copy(key[:], password)
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	block, err := des.NewCipher(key[:]) //nolint:gosec // see above
	if err != nil {                     // not with a key of eight bytes
		panic(err)
	}
	out := make([]byte, 16)
	block.Encrypt(out[:8], challenge[:8])
	block.Encrypt(out[8:], challenge[8:])
	return out
}

// text reads a text with its length before it, and keeps it presentable.
func (c *Conn) text() (string, error) {
	var word [4]byte
	if err := c.read(word[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(word[:])
	if n > maxText {
		return "", violation("the server sends a text of %d bytes", n)
	}
	raw := make([]byte, min(n, maxReason))
	got, err := io.ReadFull(c.r, raw)
	if err == nil {
		err = c.skip(int64(n) - int64(len(raw)))
	}
	return presentable(raw[:got]), err
}

// presentable makes a server's text fit for one line of a message. What is not
// UTF-8 is Latin-1, as the protocol has it.
func presentable(raw []byte) string {
	s := string(raw)
	if !utf8.ValidString(s) {
		runes := make([]rune, len(raw))
		for i, b := range raw {
			runes[i] = rune(b)
		}
		s = string(runes)
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// The encodings and pseudo-encodings that this client knows.
const (
	encRaw          = 0
	encCopyRect     = 1
	encHextile      = 5
	encZRLE         = 16
	encDesktopSize  = -223
	encLastRect     = -224
	encPointerPos   = -232
	encCursor       = -239
	encExtendedSize = -308
)

// preference is sent to the server, the best first.
var preference = []int32{encZRLE, encHextile, encCopyRect, encRaw,
	encDesktopSize, encExtendedSize, encLastRect, encCursor, encPointerPos}

// initialise takes the screen's size and name, and says in which form this
// client wants its pixels: 32 bits, with blue in the first byte.
func (c *Conn) initialise() error {
	c.say([]byte{1}) // others may stay
	var head [20]byte
	if err := c.read(head[:]); err != nil {
		return err
	}
	w, h := int(binary.BigEndian.Uint16(head[:])), int(binary.BigEndian.Uint16(head[2:]))
	var err error
	if c.name, err = c.text(); err != nil {
		return err
	}
	if err := c.checkSize(w, h); err != nil {
		return err
	}
	if err := c.reserve(w * h); err != nil {
		return err
	}
	c.back, c.front, c.missing = newScreen(w, h), newScreen(w, h), newMissing(w, h)
	m := []byte{0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0}
	m = append(m, 2, 0)
	m = binary.BigEndian.AppendUint16(m, uint16(len(preference)))
	for _, e := range preference {
		m = binary.BigEndian.AppendUint32(m, uint32(e))
	}
	c.say(m)
	return nil
}

func (c *Conn) checkSize(w, h int) error {
	if w == 0 || h == 0 || w*h > c.opts.MaxPixels {
		return violation("the server's screen is %d×%d pixels; up to %d pixels in all are allowed", w, h, c.opts.MaxPixels)
	}
	return nil
}

// newScreen is a black screen.
func newScreen(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return m
}
