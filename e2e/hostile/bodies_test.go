//go:build e2e

package hostile

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// A request that announces a body and sends none is let go, on whatever route and
// however it was answered. Such requests once took every descriptor.
func TestBodiesThatNeverCome(t *testing.T) {
	t.Parallel()
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, instances(anyKey)),
		"OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS=alice:alice-0123456789abcdef")
	before := s.descriptors(t)
	mcp, admin := address(s.url), address(s.admin)
	const alice = "Authorization: Bearer alice-0123456789abcdef\r\n"
	var wg sync.WaitGroup
	for name, tt := range map[string]struct{ addr, method, path, header, want string }{
		"no credential":     {mcp, "POST", "/mcp", "Content-Type: application/json\r\n", "401"},
		"foreign page":      {mcp, "POST", "/mcp", "Origin: https://evil.example\r\n", "403"},
		"foreign name":      {mcp, "POST", "/mcp", "Host: evil.example\r\n", "403"},
		"another method":    {mcp, "PUT", "/mcp", alice, "405"},
		"DELETE":            {mcp, "DELETE", "/mcp", alice, "4"},
		"OPTIONS":           {mcp, "OPTIONS", "/mcp", "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n", "40"},
		"TRACE":             {mcp, "TRACE", "/mcp", "", "40"},
		"asks first":        {mcp, "POST", "/mcp", "Expect: 100-continue\r\n", "401"},
		"a long name":       {mcp, "POST", "/" + strings.Repeat("x", 8000), "", "404"},
		"profiles":          {admin, "POST", "/debug/pprof/heap", "", "405"},
		"another type":      {mcp, "POST", "/mcp", alice + "Content-Type: text/plain\r\n", "415"},
		"GET":               {mcp, "GET", "/mcp", alice, "40"},
		"the page":          {mcp, "GET", "/", "", "200"},
		"no page":           {mcp, "POST", "/nothing", "", "40"},
		"health":            {admin, "GET", "/healthz", "", "200"},
		"health, POST":      {admin, "POST", "/healthz", "", "405"},
		"metrics":           {admin, "GET", "/metrics", "", "200"},
		"nothing for admin": {admin, "POST", "/", "", "404"},
	} {
		for _, length := range []string{"Content-Length: 100000\r\n", "Content-Length: 9000000\r\n", "Transfer-Encoding: chunked\r\n"} {
			wg.Go(func() {
				host := ""
				if !strings.Contains(tt.header, "Host:") {
					host = "Host: localhost\r\n"
				}
				got, err := raw(tt.addr, fmt.Appendf(nil, "%s %s HTTP/1.1\r\n%s%s%s\r\n", tt.method, tt.path, host, tt.header, length), 30*time.Second)
				if err != nil || !strings.HasPrefix(got, "HTTP/1.1 "+tt.want) {
					t.Errorf("%s, %s: %v, %.100q", name, strings.TrimSpace(length), err, got)
				}
			})
		}
	}
	for _, addr := range []string{mcp, admin} {
		for name, head := range map[string]string{"nothing": "", "half a line": "POST /m", "half a header": "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-", "no end": "GET / HTTP/1.1\r\nHost: localhost\r\n"} {
			wg.Go(func() {
				if _, err := raw(addr, []byte(head), patience); err != nil {
					t.Errorf("%s at %s: %v", name, addr, err)
				}
			})
		}
	}
	wg.Wait()
	eventually(t, "all descriptors are closed", func() bool { return s.descriptors(t) <= before+2 })
}
