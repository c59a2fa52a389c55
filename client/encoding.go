package client

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/andybalholm/brotli"
)

// decompress makes an answer readable that was compressed although nobody asked
// for it, as some proxies do. (What the transport asked for, it has decompressed
// itself.) Nothing is read before the body is. It fails for an encoding that is
// not known, which its error names.
func decompress(resp *http.Response) error {
	var codings []string
	for _, v := range resp.Header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(v, ",") {
			codings = append(codings, strings.ToLower(strings.TrimSpace(coding)))
		}
	}
	for len(codings) > 0 {
		last := codings[len(codings)-1]
		codings = codings[:len(codings)-1]
		open, known := decompressors[last]
		switch {
		case !known:
			return fmt.Errorf("the answer is compressed as %s, which this client neither asked for nor can read", oneLine(last, 40))
		case open != nil:
			resp.Body = &decompressor{name: last, open: open, from: resp.Body}
			resp.ContentLength = -1
		}
	}
	resp.Header.Del("Content-Encoding")
	return nil
}

// decompressors are the content codings of RFC 9110 and RFC 7932, with nil for what
// changes nothing. The name of a charset in that place is a mistake that some services
// make. zstd (RFC 8878) is not among them: a server sends it to who asks for it, and its
// library is large.
var decompressors = map[string]func(io.Reader) (io.Reader, error){
	"": nil, "identity": nil, "none": nil, "utf-8": nil, "utf8": nil,
	"gzip":    openGzip,
	"x-gzip":  openGzip,
	"deflate": openDeflate,
	"br":      openBrotli,
}

func openGzip(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }

func openBrotli(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	_, err := b.Peek(1) // its reader takes no bytes at all for a broken stream
	return brotli.NewReader(b), err
}

// openDeflate reads zlib, which is what the name means, and bare deflate, which
// is what some servers send under it.
func openDeflate(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if h, err := b.Peek(2); err == nil && h[0]&0x0f == 8 && (int(h[0])<<8|int(h[1]))%31 == 0 {
		return zlib.NewReader(b)
	}
	return flate.NewReader(b), nil
}

// decompressor is a body that is decompressed as it is read.
type decompressor struct {
	name string
	open func(io.Reader) (io.Reader, error)
	from io.ReadCloser
	r    io.Reader
	err  error // what ended the reads of from, io.EOF aside
}

// Read implements [io.Reader].
func (d *decompressor) Read(p []byte) (int, error) {
	if d.r == nil {
		r, err := d.open(source{d})
		if errors.Is(err, io.EOF) {
			return 0, err // no body at all
		}
		if err != nil {
			return 0, d.failure(err)
		}
		d.r = r
	}
	n, err := d.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = d.failure(err)
	}
	return n, err
}

// failure tells a connection that broke off from data that nobody can decompress.
func (d *decompressor) failure(err error) error {
	switch {
	case d.err != nil:
		return d.err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("the answer claims to be compressed as %s, but cannot be decompressed: %w", d.name, err)
}

// Close implements [io.Closer].
func (d *decompressor) Close() error { return d.from.Close() }

// source is what a decompressor reads from.
type source struct{ d *decompressor }

func (s source) Read(p []byte) (int, error) {
	n, err := s.d.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.d.err = err
	}
	return n, err
}
