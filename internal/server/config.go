package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

// Config is what a server is started with. The zero value, with Dev, is what `attorn dev` needs. A field with a key can come from flags, the
// environment and the configuration file (Load); its tags say the key, its default, whether its value is a secret, and why the key exists.
type Config struct {
	URL             string     `key:"url" why:"the issuer and external address, without a final slash"`
	Listen          string     `key:"listen" default:"localhost:7070" why:"address to listen on, behind a proxy that ends TLS"`
	Data            string     `key:"data" why:"data directory, which others must not see into"`
	DSN             string     `key:"storage.dsn" secret:"yes" why:"database: sqlite:PATH or postgres://…; SQLite in the data directory where it is not set"`
	SealingKey      string     `key:"sealing.key" file:"yes" why:"file with the 32 bytes of the sealing key, apart from the data; or the key itself, in base64, in ATTORN_SEALING_KEY"`
	SealingCommand  string     `key:"sealing.command" why:"command that writes the sealing key to its standard output, instead of a file; no shell reads it"`
	SealingPrevious string     `key:"sealing.previous" file:"yes" why:"file with the sealing key before this one, for the one start at which everything is sealed again; or ATTORN_SEALING_PREVIOUS"`
	Trusted         []string   `key:"proxy.trusted" why:"networks of the proxies whose X-Forwarded-For gives the client's address, as 10.0.0.0/8"`
	Registration    string     `key:"oauth.registration" default:"off" why:"whether apps register themselves (RFC 7591): off, token (by an invitation: attorn client invite) or open"`
	OIDC            []Upstream `key:"signin.oidc" why:"OpenID providers that people sign in with"`

	Dev    bool
	Node   string           // "" is the host's name
	Now    func() time.Time // nil is the clock
	Logger *slog.Logger

	proxies []netip.Prefix
	sealing sealingWords
}

// fill completes the configuration, or says what is missing and how to give it.
func (c *Config) fill() error {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Node == "" {
		c.Node, _ = os.Hostname()
	}
	if c.Listen == "" {
		c.Listen = "localhost:7070"
	}
	if c.Dev {
		if c.Data == "" {
			c.Data = ".attorn"
		}
		if c.URL == "" {
			c.URL = "http://" + c.Listen
		}
		if c.SealingKey == "" && c.SealingCommand == "" && c.sealing.key == "" {
			c.SealingKey = filepath.Join(c.Data, "sealing.key")
		}
	}
	if c.URL == "" {
		return missing("url", "the server's external URL is not set").Try("start with --url https://attorn.example.com, or use: attorn dev")
	}
	if c.Data == "" {
		return missing("data", "the data directory is not set").Try("start with --data /var/lib/attorn")
	}
	if err := c.checkSealing(); err != nil {
		return err
	}
	if c.DSN == "" {
		c.DSN = "sqlite:" + filepath.Join(c.Data, "attorn.db")
	}
	if err := c.checkURL(); err != nil {
		return err
	}
	switch guard.AppRegistration(c.Registration) {
	case "", guard.RegisterOff, guard.RegisterByToken, guard.RegisterOpen:
	default:
		return fault.New(fault.Invalid, "config_value", "oauth.registration is off, token or open, not %q", c.Registration)
	}
	var err error
	if c.proxies, err = networks(c.Trusted); err != nil {
		return err
	}
	return c.checkUpstreams()
}

// Check says whether a server may start with this configuration as a product, not in a test: what a server needs is there, can be read by
// nobody else, and something ends TLS. It changes nothing. Codes: config_missing, config_url, config_value, sealing_key.
func (c Config) Check() error {
	if err := c.fill(); err != nil {
		return err
	}
	if c.Dev {
		return nil
	}
	if strings.HasPrefix(c.URL, "https:") && len(c.proxies) == 0 {
		return missing("proxy.trusted", "nothing ends TLS: no proxy is trusted").Try("name the proxy before this server, as in: --proxy.trusted 127.0.0.1")
	}
	if err := c.apart(); err != nil {
		return err
	}
	_, err := c.sealer(context.Background(), true)
	return err
}

func missing(key, reason string) *fault.Error {
	return fault.New(fault.Invalid, "config_missing", "%s (%s)", reason, key)
}

// checkURL demands a URL that can be an issuer (RFC 8414 §2): https, or http on loopback.
func (c *Config) checkURL() error {
	u, err := url.Parse(c.URL)
	bad := fault.New(fault.Invalid, "config_url", "the external URL must be https://…, or http:// on loopback, without user, query, fragment and final slash: %q", c.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(c.URL, "/") {
		return bad
	}
	if u.Scheme == "https" && !c.Dev {
		return nil
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if u.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return bad
}

// prepare makes the data directory, closed to others, and in dev the sealing key and a .gitignore, so that neither ends in a repository.
func (c *Config) prepare() error {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if !c.Dev {
		info, err := os.Stat(c.Data)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = fault.New(fault.Invalid, "storage_open", "others can look into the data directory %s", c.Data).Try("chmod 700 %s", c.Data)
		}
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Data, ".gitignore"), []byte("*\n"), 0o600); err != nil {
		return err
	}
	if c.SealingKey == "" {
		return nil
	}
	key := make([]byte, 32)
	rand.Read(key)
	f, err := os.OpenFile(c.SealingKey, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("make the sealing key: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(key); err != nil {
		return err
	}
	return f.Sync()
}
