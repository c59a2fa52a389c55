package client

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"syscall"
)

// unreachable says why there was no connection, with the host's name; "" for other errors.
func unreachable(err error) string {
	var dns *net.DNSError
	var dial *net.OpError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host " + dns.Name + " can't be found (no such host)"
	case errors.As(err, &dns):
		return "the host " + dns.Name + " can't be looked up (" + dns.Err + ")"
	case errors.Is(err, syscall.ECONNREFUSED) && errors.As(err, &dial) && dial.Addr != nil:
		return "nothing listens at " + dial.Addr.String() + " (connection refused)"
	case errors.As(err, &cert):
		return "the server's certificate is not trusted (" + cert.Err.Error() + ")"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the server speaks http, not https"
	case errors.As(err, &record):
		return "the server does not speak TLS, which https needs"
	}
	return ""
}
