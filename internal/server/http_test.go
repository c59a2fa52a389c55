package server

import "testing"

// What is said to be opened can be opened, also where the server listens everywhere.
func TestBrowserAddress(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "127.0.0.1:8080",
		"127.0.0.1:8080": "127.0.0.1:8080", "[::1]:8080": "[::1]:8080", "192.0.2.1:80": "192.0.2.1:80",
	} {
		if got := browserAddress(addr); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}
