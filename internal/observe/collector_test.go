package observe

import (
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// lines is a log that may be written to while it is read.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func variables(set map[string]string) func(string) string {
	return func(name string) string { return set[name] }
}

// export sends one span, called "work", as these settings say.
func export(t *testing.T, s TraceSettings) (log string, err error) {
	t.Helper()
	var out lines
	tracing, err := NewTracing(t.Context(), s, "1.0", slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		return "", err
	}
	_, span := tracing.tracer().Start(t.Context(), "work")
	span.End()
	if err := tracing.provider.ForceFlush(t.Context()); err != nil {
		out.b.WriteString(err.Error())
	}
	_ = tracing.Close()
	return out.String(), nil
}

// certificate writes a new self-signed certificate and its key, as files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "CERTIFICATE", der), write(t, "PRIVATE KEY", pkcs8)
}

func write(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// All standard variables at once: certificates of both sides, headers, gzip, and
// a collector that is busy at first.
func TestCollectorSettings(t *testing.T) {
	var requests int
	var got tracepb.TracesData
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.URL.Path != "/base/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Api-Key") != "a b,c" || len(r.TLS.PeerCertificates) != 1 {
			t.Errorf("%s %s with %v and %d certificates", r.Method, r.URL, r.Header, len(r.TLS.PeerCertificates))
		}
		if requests == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		if b, err := io.ReadAll(z); err != nil || proto.Unmarshal(b, &got) != nil {
			t.Errorf("the body is %q, %v", b, err)
		}
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.StartTLS()
	defer srv.Close()

	cert, key := certificate(t)
	log, err := export(t, TraceSettings{Endpoint: srv.URL + "/base/", Getenv: variables(map[string]string{
		"OTEL_EXPORTER_OTLP_CERTIFICATE":        write(t, "CERTIFICATE", srv.Certificate().Raw),
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": cert, "OTEL_EXPORTER_OTLP_CLIENT_KEY": key,
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=not this one", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": " Api-Key = a%20b%2Cc ,",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_TIMEOUT": "60000",
	})})
	if err != nil || log != "" {
		t.Fatalf("log %q, %v", log, err)
	}
	if requests != 2 || got.ResourceSpans[0].ScopeSpans[0].Spans[0].Name != "work" {
		t.Errorf("after %d requests the collector has %v", requests, &got)
	}
}

// What the collector does not take is logged, and not sent again or elsewhere.
func TestCollectorRefuses(t *testing.T) {
	var elsewhere lines
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(&elsewhere, r.Header.Get("Api-Key"))
	}))
	defer other.Close()
	for want, answer := range map[string]http.HandlerFunc{
		"400 Bad Request": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such tenant", http.StatusBadRequest) },
		"no such tenant":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such tenant", http.StatusBadRequest) },
		"307 Temporary": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		},
		"rejected 1 spans":      func(w http.ResponseWriter, _ *http.Request) { protobuf(w, "\x0a\x09\x08\x01\x12\x05no id") },
		"no id":                 func(w http.ResponseWriter, _ *http.Request) { protobuf(w, "\x0a\x09\x08\x01\x12\x05no id") },
		"answer is no protobuf": func(w http.ResponseWriter, _ *http.Request) { protobuf(w, "\x0a\x09\x08") },
	} {
		t.Run(want, func(t *testing.T) {
			var requests int
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				answer(w, r)
			}))
			defer srv.Close()
			log, err := export(t, TraceSettings{TracesEndpoint: srv.URL, Getenv: variables(map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=secret"})})
			if err != nil || requests != 1 || !strings.Contains(log, want) || strings.Contains(log, "secret") {
				t.Errorf("%d requests, %v, log %q", requests, err, log)
			}
		})
	}
	if elsewhere.String() != "" {
		t.Error("the redirect was followed, with the key")
	}
}

func protobuf(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = io.WriteString(w, body)
}

// A wrong variable is named, and the headers are never repeated.
func TestCollectorWrongSettings(t *testing.T) {
	empty := write(t, "NOTHING", nil)
	for _, c := range []struct{ name, value, want string }{
		{"HEADERS", "secret", "must be name=value pairs"},
		{"HEADERS", "a b=secret", "must be name=value pairs"},
		{"HEADERS", "a=secret%zz", "must be name=value pairs"},
		{"HEADERS", "a=secret%0d%0ab", "must be name=value pairs"},
		{"COMPRESSION", "zstd", "knows gzip and none"},
		{"TIMEOUT", "10s", "a number of milliseconds"},
		{"TIMEOUT", "0", "a number of milliseconds"},
		{"CERTIFICATE", empty + ".not", "no such file"},
		{"CERTIFICATE", empty, "no certificate"},
		{"CLIENT_KEY", empty, "need each other"},
	} {
		for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
			_, err := export(t, TraceSettings{Exporter: "otlp", Getenv: variables(map[string]string{prefix + c.name: c.value})})
			if err == nil || !strings.Contains(err.Error(), prefix+c.name) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s%s=%s: %v", prefix, c.name, c.value, err)
			}
		}
	}
}
