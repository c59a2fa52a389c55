package apps

import (
	"bytes"
	_ "embed" // the pages
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
)

// packed is what apps/build.mjs makes of the sources in apps/src: the library that all
// pages have, and the pages in the order of their names, each behind its length,
// compressed together.
//
//go:embed pages.br
var packed []byte

// libraryMark is where in a page the library belongs.
const libraryMark = "<!-- library -->"

// Pages names the pages that clients show beside results: MCP Apps.
func Pages() []string { return []string{"desktop", "terminal", "work"} }

// PageType is the media type of the pages as resources.
const PageType = "text/html;profile=mcp-app"

// unpacked gives the pages by name. Over stdio they are seldom wanted, so that is
// done when one first is.
var unpacked = sync.OnceValues(func() (map[string]string, error) { return unpack(packed) })

// Page gives a page: HTML with all that belongs to it.
func Page(name string) (string, error) {
	all, err := unpacked()
	if err != nil {
		return "", fmt.Errorf("the pages in this program: %w", err)
	}
	if !slices.Contains(Pages(), name) {
		return "", fmt.Errorf("there is no page %q; there are %v", name, Pages())
	}
	return all[name], nil
}

func unpack(packed []byte) (map[string]string, error) {
	rest, err := io.ReadAll(brotli.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, err
	}
	next := func() string {
		if len(rest) < 4 || len(rest)-4 < int(binary.BigEndian.Uint32(rest)) {
			err = io.ErrUnexpectedEOF
			return ""
		}
		n := 4 + int(binary.BigEndian.Uint32(rest))
		part := string(rest[4:n])
		rest = rest[n:]
		return part
	}
	all := make(map[string]string)
	library := next()
	for _, name := range Pages() {
		all[name] = strings.Replace(next(), libraryMark, library, 1)
	}
	if err == nil && len(rest) > 0 {
		err = errors.New("there is more than the pages")
	}
	return all, err
}
