package observe

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/net/http/httpguts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"openclaw-mcp/internal/filewatch"
)

// collector sends spans to an OpenTelemetry collector: OTLP over HTTP, as protobuf.
// It is an otlptrace.Client. The one of otlptracehttp brings gRPC and its gateway
// along, which are a tenth of the binary and of its build, and are not used here.
type collector struct {
	url     string
	header  http.Header
	gzip    bool
	http    *http.Client
	stopped context.Context
	stop    context.CancelFunc
}

// get gives a standard variable's value and its full name: the one for traces
// alone, or else the one for all signals.
func (s TraceSettings) get(name string) (value, variable string) {
	for _, prefix := range []string{"TRACES_", ""} {
		variable = "OTEL_EXPORTER_OTLP_" + prefix + name
		if value = strings.TrimSpace(s.Getenv(variable)); value != "" {
			break
		}
	}
	return value, variable
}

// newCollector reads the rest of the settings. Its errors name the variable, and
// never repeat a header, which may hold a key.
func newCollector(s TraceSettings) (*collector, error) {
	c := &collector{url: s.TracesEndpoint, header: http.Header{}}
	if c.url == "" {
		base := s.Endpoint
		if base == "" {
			base = "http://localhost:4318"
		}
		u, err := url.Parse(base)
		if err != nil {
			return nil, err // wanted has checked it
		}
		c.url = u.JoinPath("v1/traces").String()
	}

	headers, variable := s.get("HEADERS")
	for pair := range strings.SplitSeq(headers, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, escaped, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(escaped)
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("%s must be name=value pairs with commas between them, and special characters of a value as %%XX", variable)
		}
		c.header.Set(name, value)
	}
	c.header.Set("Content-Type", "application/x-protobuf")

	compression, variable := s.get("COMPRESSION")
	if c.gzip = compression == "gzip"; c.gzip {
		c.header.Set("Content-Encoding", "gzip")
	} else if compression != "" && compression != "none" {
		return nil, fmt.Errorf("%s is %q; this server knows gzip and none", variable, compression)
	}

	timeout := 10 * time.Second
	if value, variable := s.get("TIMEOUT"); value != "" {
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("%s is %q; it must be a number of milliseconds, such as 10000", variable, value)
		}
		timeout = time.Duration(n) * time.Millisecond
	}

	transport := http.DefaultTransport.(*http.Transport).Clone()
	var err error
	if transport.TLSClientConfig, err = s.tlsConfig(); err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport: transport, Timeout: timeout,
		// The headers may hold a key, which is meant for one place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.stopped, c.stop = context.WithCancel(context.Background())
	return c, nil
}

func (s TraceSettings) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{}
	if file, variable := s.get("CERTIFICATE"); file != "" {
		pem, err := filewatch.Read(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s holds no certificate in PEM", variable, file)
		}
	}
	certificate, variable := s.get("CLIENT_CERTIFICATE")
	key, keyVariable := s.get("CLIENT_KEY")
	if (certificate == "") != (key == "") {
		return nil, fmt.Errorf("%s and %s need each other; one of them is not set", variable, keyVariable)
	}
	if certificate != "" {
		pair, err := filewatch.KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w", variable, keyVariable, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// Start implements otlptrace.Client.
func (c *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client: it ends what is on its way.
func (c *collector) Stop(context.Context) error {
	c.stop()
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. It repeats what the collector did not
// take for now, as long as ctx lasts.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.stopped, cancel)()
	// On the wire, this is an ExportTraceServiceRequest.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if c.gzip {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(body); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		body = b.Bytes()
	}
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		after, again, err := c.post(ctx, body)
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(after, pause)):
		}
	}
}

// post sends a body once. It reports whether the collector may take it later, and
// after which time at the earliest.
func (c *collector) post(ctx context.Context, body []byte) (after time.Duration, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	req.Header = c.header.Clone()
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, ctx.Err() == nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16)
		return time.Duration(seconds) * time.Second, true, fmt.Errorf("the collector answered %s", resp.Status)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return 0, false, fmt.Errorf("the collector answered %s: %.200q", resp.Status, answer)
	}
	if err == nil && resp.Header.Get("Content-Type") == "application/x-protobuf" {
		err = partialSuccess(answer)
	}
	return 0, false, err
}

// partialSuccess is the error that an ExportTraceServiceResponse reports: spans
// that the collector did not want.
func partialSuccess(answer []byte) error {
	var rejected uint64
	var message []byte
	err := fields(answer, func(number protowire.Number, _ uint64, partial []byte) error {
		if number != 1 {
			return nil
		}
		return fields(partial, func(number protowire.Number, n uint64, text []byte) error {
			switch number {
			case 1:
				rejected = n
			case 2:
				message = text
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("the collector's answer is no protobuf: %w", err)
	}
	if rejected != 0 || len(message) > 0 {
		return fmt.Errorf("the collector rejected %d spans: %.200q", rejected, message)
	}
	return nil
}

// fields calls f for each field of a message: with its number, or its bytes.
func fields(b []byte, f func(number protowire.Number, n uint64, bytes []byte) error) error {
	for len(b) > 0 {
		number, kind, length := protowire.ConsumeTag(b)
		if length < 0 {
			return protowire.ParseError(length)
		}
		b = b[length:]
		if length = protowire.ConsumeFieldValue(number, kind, b); length < 0 {
			return protowire.ParseError(length)
		}
		var n uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			n, _ = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			bytes, _ = protowire.ConsumeBytes(b)
		}
		if err := f(number, n, bytes); err != nil {
			return err
		}
		b = b[length:]
	}
	return nil
}
