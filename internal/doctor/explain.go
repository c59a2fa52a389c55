package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"openclaw-mcp/client"
)

// explain says what an error means, in words of this program alone: the
// service's own may hold anything.
func explain(err error, requests []Request, patience time.Duration) (detail, advice string, timedOut bool) {
	e, _ := errors.AsType[*client.Error](err)
	if e == nil {
		e = &client.Error{Err: err}
	}
	page := slices.ContainsFunc(requests, func(r Request) bool { return r.ContentType == "text/html" })
	const wrongPlace = "a proxy, a login page, or a wrong OPENCLAW_API_BASE_URL: that address must be the API's own"
	var tlsErr *tls.CertificateVerificationError
	switch {
	case e.Timeout() && e.Status == 0 || errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", patience), "is the service up, or does a proxy in between hold answers back?", true
	case e.Status != 0:
		detail = strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.Status, http.StatusText(e.Status)))
		if e.Code != "" && isName(e.Code) {
			detail += " (" + e.Code + ")"
		}
		if page {
			detail += ", with an HTML page"
		}
		return detail, statusAdvice(e.Status, page, wrongPlace), e.Timeout()
	case page:
		return "an HTML page came instead of the API's answer", wrongPlace, false
	case errors.As(err, &tlsErr):
		return "the service's certificate is not trusted", "does something in between intercept TLS? Add its authority to this machine's", false
	case isDNS(err):
		return "the service's name is not known", "check OPENCLAW_API_BASE_URL and this machine's DNS", false
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there (connection refused)", "check OPENCLAW_API_BASE_URL; is the service up?", false
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was cut off", "try again; a proxy in between may limit the length of answers", false
	case e.Code == client.CodeDesktopPassword:
		return "the desktop wants a password", "set OPENCLAW_MCP_VNC_PASSWORD", false
	case len(requests) > 0 && requests[len(requests)-1].Status != 0:
		return "the answer was not understood", "please report this, with the keys below", false
	}
	return "the request failed", "", false
}

func isDNS(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns)
}

func statusAdvice(status int, page bool, wrongPlace string) string {
	switch {
	case status == http.StatusUnauthorized:
		return "the API key was rejected: run 'openclaw-mcp login', or correct OPENCLAW_API_KEY if that is set"
	case page:
		return wrongPlace
	case status >= 300 && status < 400:
		return "the service is elsewhere: OPENCLAW_API_BASE_URL has to be the address that it redirects to"
	case status == http.StatusForbidden:
		return "the key is known, but has no access: check the subscription of its user"
	case status == http.StatusNotFound:
		return "the service has no such thing, or the key's user has none"
	case status == http.StatusTooManyRequests:
		return "too many requests: wait, then try again"
	case status >= 500:
		return "the service or the instance is asleep or overloaded: try again"
	}
	return ""
}
