package server

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/attorn/attorn/fault"
)

// Sources is where a configuration comes from, beside the environment. A flag stands above the environment (ATTORN_ and the key, as
// ATTORN_STORAGE_DSN; a secret also as a file, ATTORN_STORAGE_DSN_FILE), that above the file, that above the defaults.
type Sources struct {
	File  string            // "" is none
	Flags map[string]string // by key
	Dev   bool
}

// Setting is a key with its value and where that came from.
type Setting struct {
	Key, Value, Origin string // Value is "set" for a secret; Origin is "" where the key has no value
}

// Key describes a key that flags and the environment can set, for a command's help.
type Key struct {
	Name, Default, Why string
}

// Keys are those of the configuration, in the order of the struct.
func Keys() []Key {
	var all []Key
	for f := range fields(reflect.TypeFor[Config]()) {
		if flat(f.Type) {
			all = append(all, Key{f.Tag.Get("key"), f.Tag.Get("default"), f.Tag.Get("why")})
		}
	}
	return all
}

// fields yields those that have a key.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("key") != "" && !yield(f) {
				return
			}
		}
	}
}

// flat reports whether a value of the type can be written as one text.
func flat(t reflect.Type) bool {
	return t.Kind() != reflect.Map && (t.Kind() != reflect.Slice || t.Elem().Kind() == reflect.String)
}

// loading is a configuration in the making.
type loading struct {
	file   string
	origin map[string]string // by key
}

// Load reads a configuration. It opens nothing but files, and does not say yet whether a server can start with it: Check does.
// Codes: config_file, config_value, config_secret.
func Load(s Sources) (Config, []Setting, error) {
	c := Config{Dev: s.Dev}
	l := &loading{file: s.File, origin: map[string]string{}}
	if err := l.defaults(reflect.ValueOf(&c).Elem()); err != nil {
		return c, nil, err
	}
	if s.File != "" {
		if err := l.readFile(&c); err != nil {
			return c, nil, err
		}
	}
	if err := l.environment(reflect.ValueOf(&c).Elem()); err != nil {
		return c, nil, err
	}
	l.takeSealing(&c)
	for _, key := range slices.Sorted(maps.Keys(s.Flags)) {
		if err := l.setText(&c, key, s.Flags[key], "--"+key); err != nil {
			return c, nil, err
		}
	}
	if c.Dev && c.Data == "" {
		c.Data, l.origin["data"] = ".attorn", "default"
	}
	if err := c.readSecrets(); err != nil {
		return c, nil, err
	}
	return c, l.settings(reflect.ValueOf(c), ""), nil
}

func (l *loading) defaults(v reflect.Value) error {
	for f := range fields(v.Type()) {
		if text, ok := f.Tag.Lookup("default"); ok {
			if err := fromText(v.FieldByIndex(f.Index), text); err != nil {
				return fmt.Errorf("the default of %s: %w", f.Tag.Get("key"), err)
			}
			l.origin[f.Tag.Get("key")] = "default"
		}
	}
	return nil
}

func (l *loading) readFile(c *Config) error {
	text, err := os.ReadFile(l.file)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "config_file", "the configuration file cannot be read: %s", l.file).Try("check the path and the owner of the file")
	}
	root, err := readYAML(l.file, text)
	if err != nil {
		return err
	}
	if err := l.mapping(reflect.ValueOf(c).Elem(), root, "", ""); err != nil {
		return err
	}
	for f := range fields(reflect.TypeFor[Config]()) {
		if f.Tag.Get("secret") != "" && l.origin[f.Tag.Get("key")] != "" && l.origin[f.Tag.Get("key")] != "default" {
			return closed(l.file, f.Tag.Get("key")+" is in the configuration file, which")
		}
	}
	return nil
}

// mapping puts a mapping into the fields of v whose keys begin with prefix; at names v in messages and origins.
func (l *loading) mapping(v reflect.Value, in node, at, prefix string) error {
	if in.is != "a mapping" {
		return badLine(l.file, in.line, strings.TrimSuffix(at+prefix, ".")+" is "+in.is+", and must be a mapping")
	}
	for _, m := range in.members {
		key := prefix + m.name
		f, group, near := find(v.Type(), key)
		switch {
		case group:
			if err := l.mapping(v, m.value, at, key+"."); err != nil {
				return err
			}
			continue
		case f == nil && near != "":
			return badLine(l.file, m.line, fmt.Sprintf("there is no key %s%s; is %s meant?", at, key, near))
		case f == nil:
			return badLine(l.file, m.line, fmt.Sprintf("there is no key %s%s", at, key))
		}
		if err := l.value(v.FieldByIndex(f.Index), m.value, at+key); err != nil {
			return err
		}
		l.origin[at+key] = l.file + ":" + number(m.line)
	}
	return nil
}

// find is the field of a key, or says that the key is the beginning of others; else near is the most similar name.
func find(t reflect.Type, key string) (found *reflect.StructField, group bool, near string) {
	best := 4 // changes that a slip of the fingers makes at most, and one
	for f := range fields(t) {
		name := f.Tag.Get("key")
		if name == key {
			return &f, false, ""
		}
		for i := range len(name) + 1 {
			if i < len(name) && name[i] != '.' {
				continue
			}
			if name[:i] == key {
				return nil, true, ""
			}
			if d := distance(key, name[:i]); d < best {
				best, near = d, name[:i]
			}
		}
	}
	return nil, false, near
}

// value puts a node into a field.
func (l *loading) value(v reflect.Value, in node, key string) error {
	wrong := func(must string) error { return badLine(l.file, in.line, key+" is "+in.is+", and must be "+must) }
	switch {
	case v.Kind() == reflect.Slice:
		if in.is != "a list" {
			return wrong("a list")
		}
		v.Set(reflect.MakeSlice(v.Type(), len(in.list), len(in.list)))
		for i, item := range in.list {
			at := key + "[" + number(i) + "]"
			if v.Type().Elem().Kind() != reflect.Struct {
				if err := l.value(v.Index(i), item, at); err != nil {
					return err
				}
				continue
			}
			inner := &loading{file: l.file, origin: map[string]string{}} // for the defaults, whose keys are the struct's own
			if err := inner.defaults(v.Index(i)); err != nil {
				return err
			}
			for k, origin := range inner.origin {
				l.origin[at+"."+k] = origin
			}
			if err := l.mapping(v.Index(i), item, at+".", ""); err != nil {
				return err
			}
		}
	case v.Kind() == reflect.Map:
		if in.is != "a mapping" {
			return wrong("a mapping")
		}
		v.Set(reflect.MakeMap(v.Type()))
		for _, m := range in.members {
			item := reflect.New(v.Type().Elem()).Elem()
			if err := l.value(item, m.value, key+"."+m.name); err != nil {
				return err
			}
			v.SetMapIndex(reflect.ValueOf(m.name), item)
		}
	case in.text == nil:
		return wrong("a value")
	default:
		if err := fromText(v, *in.text); err != nil {
			return badLine(l.file, in.line, key+" "+err.Error())
		}
	}
	return nil
}

// fromText reads a value that is one text; a list is written with commas.
func fromText(v reflect.Value, text string) (err error) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("must be true or false, not %q", text)
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("must be a whole number, not %q", text)
		}
		v.SetInt(int64(n))
	default:
		list := reflect.MakeSlice(v.Type(), 0, 0)
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = reflect.Append(list, reflect.ValueOf(part))
			}
		}
		v.Set(list)
	}
	return nil
}

// variable is the environment's name of a key.
func variable(key string) string {
	return "ATTORN_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

func (l *loading) environment(v reflect.Value) error {
	for f := range fields(v.Type()) {
		if !flat(f.Type) {
			continue
		}
		key := f.Tag.Get("key")
		name := variable(key)
		if f.Tag.Get("file") != "" { // the variable without _FILE is for what is in the file
			name += "_FILE"
		}
		text := os.Getenv(name) // an empty one is none
		if file := os.Getenv(name + "_FILE"); text == "" && file != "" && f.Tag.Get("secret") != "" {
			var err error
			if text, err = secretFile(file); err != nil {
				return err
			}
			name += "_FILE"
		}
		if text == "" {
			continue
		}
		if err := fromText(v.FieldByIndex(f.Index), text); err != nil {
			return fault.New(fault.Invalid, "config_value", "%s %v", name, err)
		}
		l.origin[key] = "environment " + name
	}
	return nil
}

func (l *loading) setText(c *Config, key, text, origin string) error {
	f, _, _ := find(reflect.TypeFor[Config](), key)
	if f == nil || !flat(f.Type) {
		return fault.New(fault.Invalid, "config_value", "there is no key %s", key)
	}
	if err := fromText(reflect.ValueOf(c).Elem().FieldByIndex(f.Index), text); err != nil {
		return fault.New(fault.Invalid, "config_value", "%s %v", origin, err)
	}
	l.origin[key] = origin
	return nil
}

// settings lists every key below v.
func (l *loading) settings(v reflect.Value, at string) []Setting {
	var all []Setting
	for f := range fields(v.Type()) {
		key, in := at+f.Tag.Get("key"), v.FieldByIndex(f.Index)
		if in.Kind() == reflect.Slice && in.Type().Elem().Kind() == reflect.Struct {
			for i := range in.Len() {
				all = append(all, l.settings(in.Index(i), key+"["+number(i)+"].")...)
			}
			continue
		}
		s := Setting{key, shown(in), l.origin[key]}
		if f.Tag.Get("secret") != "" && s.Value != "" || f.Tag.Get("file") != "" && s.Value == "" && s.Origin != "" {
			s.Value = "set"
		}
		all = append(all, s)
	}
	return all
}

// shown is a value as config show prints it.
func shown(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, shown(v.Index(i)))
		}
		return strings.Join(parts, ", ")
	case reflect.Map:
		var parts []string
		for _, k := range v.MapKeys() {
			parts = append(parts, k.String()+": "+shown(v.MapIndex(k)))
		}
		slices.Sort(parts)
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v.Interface())
}

const maxSecret = 4 << 10 // bytes

// secretFile reads a secret, without the line's end that editors leave.
func secretFile(name string) (string, error) {
	if err := closed(name, "the file "+name); err != nil {
		return "", err
	}
	raw, err := os.ReadFile(name)
	if err == nil && len(raw) > maxSecret {
		err = fmt.Errorf("over %d bytes", maxSecret)
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if err == nil && secret == "" {
		err = fmt.Errorf("it is empty")
	}
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "config_secret", "the secret in %s cannot be read: %v", name, err).Try("check the path and the owner of the file")
	}
	return secret, nil
}

// closed refuses a file with secrets in it that others can read.
func closed(name, what string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "config_secret", "%s cannot be read", what).Try("check the path and the owner of the file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fault.New(fault.Invalid, "config_secret", "%s can be read by others", what).Try("chmod 600 %s", filepath.Clean(name))
	}
	return nil
}

func number(n int) string { return strconv.Itoa(n) }

// distance is how many letters must be added, left out or changed to make a of b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, last+1, row[j]+1)
		}
	}
	return row[len(b)]
}
