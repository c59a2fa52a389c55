// Package loopback tells addresses of this machine itself from all others.
package loopback

import (
	"net"
	"strings"
)

// Host reports whether a host, without its port, is this machine's loopback:
// "localhost" or an address such as 127.0.0.1, ::1 or [::1]. No name is looked up.
func Host(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return false
		}
	}
	return net.ParseIP(host).IsLoopback()
}
