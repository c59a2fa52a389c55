package loopback

import "testing"

func TestHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.": false, "localhost.example.org": false, "127.0.0.1.example.org": false, "0.0.0.0": false, "::": false,
		"10.0.0.1": false, "[::1": false, "::1]": false, "127.1": false, "127.0.0.1:80": false,
	} {
		if got := Host(host); got != want {
			t.Errorf("%q: got %v", host, got)
		}
	}
}
