package text

import "unicode/utf8"

// UTF8Stream turns a stream of bytes into valid UTF-8 text, whatever the bytes
// are cut into: a character that a piece breaks off is kept for the next one,
// and each byte that belongs to no character becomes U+FFFD.
type UTF8Stream struct {
	rest [utf8.UTFMax]byte // the beginning of a character
	n    int
}

// Decode gives the text of p and of what was left over before it.
func (s *UTF8Stream) Decode(p []byte) string {
	if s.n == 0 && len(p) > 0 && utf8.Valid(p) {
		return string(p)
	}
	out := make([]byte, 0, len(p)+2*utf8.UTFMax)
	if s.n > 0 {
		// Of what is left over, one byte is looked at again at a time.
		head := append(append(make([]byte, 0, 2*utf8.UTFMax), s.rest[:s.n]...), p[:min(len(p), utf8.UTFMax)]...)
		i := 0
		for i < s.n {
			if !utf8.FullRune(head[i:]) {
				// Only where p itself is shorter than what is missing.
				s.n = copy(s.rest[:], head[i:])
				return string(out)
			}
			r, size := utf8.DecodeRune(head[i:])
			out = utf8.AppendRune(out, r)
			i += size
		}
		p = p[i-s.n:]
		s.n = 0
	}
	for len(p) > 0 {
		if !utf8.FullRune(p) {
			s.n = copy(s.rest[:], p)
			break
		}
		r, size := utf8.DecodeRune(p)
		out = utf8.AppendRune(out, r)
		p = p[size:]
	}
	return string(out)
}

// Flush gives what is left over at the end of the stream.
func (s *UTF8Stream) Flush() string {
	out := make([]byte, 0, 3*utf8.UTFMax)
	for range s.n {
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	s.n = 0
	return string(out)
}
