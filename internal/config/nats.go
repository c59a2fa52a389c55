package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"openclaw-mcp/internal/filewatch"
	"openclaw-mcp/internal/loopback"
)

var natsPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// checkNATS reports what is wrong with the settings for replicas.
func (c Config) checkNATS(bad func(name, format string, a ...any)) {
	if c.NATSURL == "" {
		for name, value := range map[string]string{"OPENCLAW_MCP_NATS_CREDS": c.NATSCreds, "OPENCLAW_MCP_NATS_CA": c.NATSCA, "OPENCLAW_MCP_NATS_CERT": c.NATSCert, "OPENCLAW_MCP_NATS_KEY": c.NATSKey} {
			if value != "" {
				bad(name, "needs OPENCLAW_MCP_NATS_URL, the address of NATS")
			}
		}
	}
	for server := range strings.SplitSeq(c.NATSURL, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		switch {
		case c.NATSURL == "":
		case err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
			bad("OPENCLAW_MCP_NATS_URL", "must be nats:// or tls:// and host:port, such as tls://nats.example:4222; several are separated by commas")
		case u.User != nil:
			bad("OPENCLAW_MCP_NATS_URL", "must not contain a user name or password; use OPENCLAW_MCP_NATS_CREDS or OPENCLAW_MCP_NATS_CERT")
		case u.Scheme == "nats" && !loopback.Host(u.Hostname()) && c.NATSCA == "" && c.NATSCert == "":
			bad("OPENCLAW_MCP_NATS_URL", "has %s, which would be reached without encryption: write tls://, or set OPENCLAW_MCP_NATS_CA", u.Host)
		}
	}
	if !natsPrefix.MatchString(c.NATSPrefix) {
		bad("OPENCLAW_MCP_NATS_PREFIX", "is %q; it must be 1 to 32 letters, digits, - or _", c.NATSPrefix)
	}
	if !slices.Contains([]int{1, 3, 5}, c.NATSReplicas) {
		bad("OPENCLAW_MCP_NATS_REPLICAS", "is %d; it must be 1, 3 or 5", c.NATSReplicas)
	}
	if (c.NATSCert == "") != (c.NATSKey == "") {
		bad("OPENCLAW_MCP_NATS_CERT", "and OPENCLAW_MCP_NATS_KEY go together; only one is set")
	} else if _, err := c.NATSTLS(); err != nil {
		bad("OPENCLAW_MCP_NATS_CA", "or OPENCLAW_MCP_NATS_CERT can't be used: %v", err)
	}
	if c.NATSCreds != "" {
		if _, err := filewatch.Read(c.NATSCreds); err != nil {
			bad("OPENCLAW_MCP_NATS_CREDS", "can't be used: %v", err)
		}
	}
}

// NATSTLS is how NATS is known and how this server is known to it; nil: as the system
// has it.
func (c Config) NATSTLS() (*tls.Config, error) {
	if c.NATSCA == "" && c.NATSCert == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.NATSCA != "" {
		pem, err := filewatch.Read(c.NATSCA)
		if err != nil {
			return nil, err
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s contains no certificate (PEM)", c.NATSCA)
		}
	}
	if c.NATSCert != "" && c.NATSKey != "" {
		if _, err := filewatch.KeyPair(c.NATSCert, c.NATSKey); err != nil {
			return nil, err
		}
		// Read again for each connection: certificates are renewed.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := filewatch.KeyPair(c.NATSCert, c.NATSKey)
			return &pair, err
		}
	}
	return t, nil
}
