package server

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attorn/attorn/fault"
)

func file(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const whole = `
url: https://attorn.example.com   # the issuer
data: /srv/attorn
sealing: {key: /etc/attorn/sealing.key}
proxy:
  trusted:
    - 127.0.0.1
    - 10.0.0.0/8
signin:
  oidc:
    - name: acme
      issuer: https://login.acme.example
      client_id: 12345
      create: true
      groups_claim: groups
      groups:
        Platform Team: platform
        "42": answers
      acr: {"urn:acme:mfa": 2}
    - {name: other, issuer: "https://other.example", client_id: x, scopes: [openid], amr_mfa: []}
`

func TestTheFileIsReadWhole(t *testing.T) {
	got, _, err := Load(Sources{File: file(t, "attorn.yaml", whole, 0o644)})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		URL: "https://attorn.example.com", Listen: "localhost:7070", Data: "/srv/attorn", SealingKey: "/etc/attorn/sealing.key",
		Registration: "off", Trusted: []string{"127.0.0.1", "10.0.0.0/8"}, OIDC: []Upstream{
			{
				Name: "acme", Issuer: "https://login.acme.example", ClientID: "12345", Scopes: []string{"openid", "profile", "email"}, Create: true, Workspace: "default",
				GroupsClaim: "groups", Groups: map[string]string{"Platform Team": "platform", "42": "answers"}, ACR: map[string]int{"urn:acme:mfa": 2}, MFA: []string{"mfa", "hwk"},
			},
			{Name: "other", Issuer: "https://other.example", ClientID: "x", Scopes: []string{"openid"}, Workspace: "default", MFA: []string{}},
		},
	}
	for f := range fields(reflect.TypeFor[Config]()) {
		if d := cmp.Diff(reflect.ValueOf(want).FieldByIndex(f.Index).Interface(), reflect.ValueOf(got).FieldByIndex(f.Index).Interface()); d != "" {
			t.Errorf("%s: %s", f.Tag.Get("key"), d)
		}
	}
	if err := got.fill(); err != nil {
		t.Error(err)
	}
}

// Every text that is no configuration is refused, and the line and the nearest name are said.
func TestWhatTheFileMayNotSay(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown":               {"url: x\nstorage:\n  dns: y\n", "line 3: there is no key storage.dns; is storage.dsn meant?"},
		"unknown at the top":    {"lisen: y\n", "line 1: there is no key lisen; is listen meant?"},
		"unknown group":         {"sealling:\n  key: y\n", "line 1: there is no key sealling; is sealing meant?"},
		"like nothing":          {"\ncolour: blue\n", "line 2: there is no key colour"},
		"unknown in a list":     {"signin:\n  oidc:\n  - name: a\n    isuer: b\n", "line 4: there is no key signin.oidc[0].isuer; is issuer meant?"},
		"other case":            {"URL: x\n", "line 1: there is no key URL; is url meant?"},
		"repeated":              {"url: x\nlisten: y\nurl: z\n", "line 3: "},
		"repeated in a group":   {"proxy: {trusted: [a], trusted: [b]}\n", "line 1: "},
		"repeated group":        {"sealing:\n  key: a\nsealing:\n  key: b\n", "line 3: "},
		"a secret in the file":  {"signin:\n  oidc:\n  - name: a\n    client_secret: hush\n", "line 4: there is no key signin.oidc[0].client_secret"},
		"list for a text":       {"url: [a]\n", "line 1: url is a list, and must be a value"},
		"text for a list":       {"proxy:\n  trusted: a\n", "line 2: proxy.trusted is a value, and must be a list"},
		"text for a mapping":    {"storage: a\n", "line 1: storage is a value, and must be a mapping"},
		"text for providers":    {"signin:\n  oidc: a\n", "line 2: signin.oidc is a value, and must be a list"},
		"provider is a text":    {"signin:\n  oidc:\n  - a\n", "line 3: signin.oidc[0] is a value, and must be a mapping"},
		"yes is not true":       {"signin:\n  oidc:\n  - create: yes\n", `line 3: signin.oidc[0].create must be true or false, not "yes"`},
		"no number":             {"signin:\n  oidc:\n  - acr: {a: high}\n", `line 3: signin.oidc[0].acr.a must be a whole number, not "high"`},
		"nothing":               {"url:\n", "line 1: there is no value"},
		"anchor":                {"url: &a x\nlisten: y\n", "line 1: only texts"},
		"alias":                 {"url: &a x\nlisten: *a\n", "only texts"},
		"tag":                   {"url: !!str x\n", "line 1: only texts"},
		"merged":                {"storage: &a {dsn: x}\nsealing: {<<: *a}\n", "only texts"},
		"two documents":         {"url: x\n---\nurl: y\n", "holds more than one document"},
		"no mapping":            {"- url\n", "must be a mapping"},
		"no YAML":               {"url: [x\n", "line "},
		"a number as a name":    {"1: x\n", "line 1: a name is a text"},
		"too long":              {"url: " + strings.Repeat("x", maxConfigFile), "is over"},
		"a group is no mapping": {"signin: [a]\n", "line 1: signin is a list, and must be a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(Sources{File: file(t, "attorn.yaml", c.text, 0o600)})
			if fault.Code(err) != "config_file" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// Each key that is one text: flag over environment over file over default, and its origin says which.
func TestPrecedence(t *testing.T) {
	for f := range fields(reflect.TypeFor[Config]()) {
		if !flat(f.Type) {
			continue
		}
		key := f.Tag.Get("key")
		t.Run(key, func(t *testing.T) {
			text, inFile := "from-file", "from-file"
			if f.Type.Kind() == reflect.Slice {
				inFile = "[from-file]"
			}
			if group, name, ok := strings.Cut(key, "."); ok {
				text = group + ":\n  " + name + ": " + inFile + "\n"
			} else {
				text = key + ": " + inFile + "\n"
			}
			path := file(t, "attorn.yaml", text, 0o600)
			value := func(s Sources) (string, string) {
				t.Helper()
				_, all, err := Load(s)
				if err != nil {
					t.Fatal(err)
				}
				got := all[slices.IndexFunc(all, func(s Setting) bool { return s.Key == key })]
				return got.Value, got.Origin
			}
			expect := func(s Sources, want, origin string) {
				t.Helper()
				if f.Tag.Get("secret") != "" && want != "" {
					want = "set"
				}
				if got, from := value(s); got != want || !strings.HasSuffix(from, origin) {
					t.Errorf("%q from %q, want %q from %q", got, from, want, origin)
				}
			}
			origin := ""
			if f.Tag.Get("default") != "" {
				origin = "default"
			}
			expect(Sources{}, f.Tag.Get("default"), origin)
			expect(Sources{File: path}, "from-file", "attorn.yaml:"+map[bool]string{true: "2", false: "1"}[strings.Contains(key, ".")])
			name := variable(key)
			if f.Tag.Get("file") != "" {
				name += "_FILE"
			}
			t.Setenv(name, "from-environment")
			expect(Sources{File: path}, "from-environment", "environment "+name)
			expect(Sources{File: path, Flags: map[string]string{key: "from-flag"}}, "from-flag", "--"+key)
		})
	}
}

func TestSecretsComeByFileOrEnvironment(t *testing.T) {
	secret := file(t, "secret", "hush\n", 0o600)
	text := "signin:\n  oidc:\n  - name: my-acme\n    issuer: https://a.example\n    client_id: x\n    client_secret_file: " + secret + "\n"
	config := file(t, "attorn.yaml", text, 0o644)
	load := func() (Config, []Setting, error) { return Load(Sources{File: config}) }
	c, all, err := load()
	if err != nil || c.OIDC[0].Secret != "hush" {
		t.Fatalf("%+v, %v", c.OIDC, err)
	}
	for _, s := range all {
		if strings.Contains(s.Value, "hush") {
			t.Errorf("%s is shown", s.Key)
		}
	}
	if err := os.Chmod(secret, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, _, err := load(); fault.Code(err) != "config_secret" {
		t.Errorf("others can read the secret: %v", err)
	}
	t.Setenv("ATTORN_SIGNIN_OIDC_MY_ACME_CLIENT_SECRET", "louder")
	if c, _, err := load(); err != nil || c.OIDC[0].Secret != "louder" {
		t.Errorf("%+v, %v", c.OIDC, err)
	}

	dsn := file(t, "dsn", "postgres://ann:hush@db/attorn\n", 0o600)
	t.Setenv("ATTORN_STORAGE_DSN_FILE", dsn)
	c, all, err = Load(Sources{})
	if err != nil || c.DSN != "postgres://ann:hush@db/attorn" {
		t.Fatalf("%q, %v", c.DSN, err)
	}
	if i := slices.IndexFunc(all, func(s Setting) bool { return s.Key == "storage.dsn" }); all[i].Value != "set" || all[i].Origin != "environment ATTORN_STORAGE_DSN_FILE" {
		t.Errorf("%+v", all[i])
	}
	for name, text := range map[string]string{"empty": "\n", "long": strings.Repeat("x", maxSecret+1)} {
		t.Setenv("ATTORN_STORAGE_DSN_FILE", file(t, "dsn", text, 0o600))
		if _, _, err := Load(Sources{}); fault.Code(err) != "config_secret" {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Setenv("ATTORN_STORAGE_DSN_FILE", "")
	open := file(t, "attorn.yaml", "storage: {dsn: 'postgres://ann:hush@db/attorn'}\n", 0o644)
	if _, _, err := Load(Sources{File: open}); fault.Code(err) != "config_secret" {
		t.Errorf("a secret in a file that others can read: %v", err)
	}
}

func TestWhatNoServerStartsWith(t *testing.T) {
	dir := t.TempDir()
	key := file(t, "sealing.key", strings.Repeat("k", 32), 0o600)
	inside := filepath.Join(dir, "sealing.key")
	if err := os.WriteFile(inside, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	acme := Upstream{Name: "acme", Issuer: "https://a.example", ClientID: "x", Workspace: "default"}
	good := Config{URL: "https://attorn.example.com", Data: dir, SealingKey: key, Trusted: []string{"127.0.0.1"}, OIDC: []Upstream{acme}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config, *Upstream)
		code   string
	}{
		"nothing ends TLS":     {func(c *Config, _ *Upstream) { c.Trusted = nil }, "config_missing"},
		"key inside the data":  {func(c *Config, _ *Upstream) { c.SealingKey = inside }, "sealing_key"},
		"no address":           {func(c *Config, _ *Upstream) { c.Trusted = []string{"proxy.example"} }, "config_value"},
		"bits beyond the mask": {func(c *Config, _ *Upstream) { c.Trusted = []string{"10.0.0.1/8"} }, "config_value"},
		"mapped":               {func(c *Config, _ *Upstream) { c.Trusted = []string{"::ffff:10.0.0.0/104"} }, "config_value"},
		"no name":              {func(_ *Config, u *Upstream) { u.Name = "" }, "config_value"},
		"a name with a slash":  {func(_ *Config, u *Upstream) { u.Name = "a/b" }, "config_value"},
		"http":                 {func(_ *Config, u *Upstream) { u.Issuer = "http://a.example" }, "config_value"},
		"a query":              {func(_ *Config, u *Upstream) { u.Issuer = "https://a.example?x" }, "config_value"},
		"no client":            {func(_ *Config, u *Upstream) { u.ClientID = "" }, "config_value"},
		"groups without claim": {func(_ *Config, u *Upstream) { u.Groups = map[string]string{"a": "b"} }, "config_value"},
		"passkeys elsewhere":   {func(_ *Config, u *Upstream) { u.ACR = map[string]int{"a": 3} }, "config_value"},
		"the server's own":     {func(_ *Config, u *Upstream) { u.Workspace = "server" }, "config_value"},
		"two scopes in one":    {func(_ *Config, u *Upstream) { u.Scopes = []string{"a b"} }, "config_value"},
		"two of one name":      {func(c *Config, _ *Upstream) { c.OIDC = append(c.OIDC, acme) }, "config_value"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			bad.OIDC = slices.Clone(good.OIDC)
			c.change(&bad, &bad.OIDC[0])
			if err := bad.Check(); fault.Code(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

func FuzzReadYAML(f *testing.F) {
	f.Add(whole)
	f.Add("url: &a x\n? [b]\n: *a\n--- |\n  x\n")
	f.Fuzz(func(t *testing.T, text string) {
		root, err := readYAML("attorn.yaml", []byte(text))
		if err != nil && fault.Code(err) != "config_file" {
			t.Errorf("%v", err)
		}
		if err == nil && root.is == "" {
			t.Error("a node that is nothing")
		}
	})
}
