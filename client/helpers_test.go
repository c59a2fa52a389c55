package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// testKey has characters that JSON and URLs escape, so that redaction is put to
// the test by every test.
const testKey = `sk_live_a<b>"c\d/e+f&g=h%i`

// serve starts a service on a real socket and gives a client of it.
func serve(t *testing.T, h http.HandlerFunc, opts ...Option) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return dial(t, srv.URL, opts...)
}

// dial gives a client that retries fast and cleans up.
func dial(t *testing.T, url string, opts ...Option) *Client {
	t.Helper()
	opts = append([]Option{WithRetry(3, time.Millisecond, 2*time.Millisecond)}, opts...)
	c, err := New(nil, url, testKey, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// answer serves one fixed answer.
func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// wantError gives err as the *Error that it has to be.
func wantError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got error %v (%T), want an *Error", err, err)
	}
	if e.Op == "" {
		t.Errorf("the error names no operation: %v", e)
	}
	return e
}

// fixture reads a file of testdata.
func fixture(t *testing.T, area, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", area, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkUsed fails when the folder holds a fixture that no case names: a form
// that is written down but not held by a test.
func checkUsed(t *testing.T, area string, used []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("..", "testdata", area))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(used, e.Name()) {
			t.Errorf("testdata/%s/%s is used by no case", area, e.Name())
		}
	}
}

//go:fix inline
