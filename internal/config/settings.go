package config

import (
	"net/url"
	"reflect"
	"runtime"

	"github.com/caarlos0/env/v11"

	"openclaw-mcp/internal/keyfile"
	"openclaw-mcp/internal/secret"
)

// Setting is what people are told of a setting.
type Setting struct {
	Name    string // of the environment variable
	Default string // "" for none
	Doc     string
	Main    bool // among those that most people need
}

// Settings lists all settings, in the order of Config's fields.
func Settings() (all []Setting) {
	t := reflect.TypeFor[Config]()
	for f := range t.Fields() {
		if name := f.Tag.Get("env"); name != "" {
			all = append(all, Setting{Name: name, Default: f.Tag.Get("envDefault"), Doc: f.Tag.Get("doc"), Main: f.Tag.Get("help") == "main"})
		}
	}
	return all
}

// Text is the documentation of a setting with its default.
func (s Setting) Text() string {
	if s.Default == "" {
		return s.Doc
	}
	return s.Doc + " (" + s.Default + ")"
}

// Value is a setting as it is in effect.
type Value struct {
	Setting
	Value string // "" for none; a secret is masked
	From  string // "environment", "default", or the file of `openclaw-mcp login`
}

// Values lists what all settings are and from where, whether or not they are valid.
func Values(environ []string) (all []Value) {
	set := env.ToMap(environ)
	t := reflect.TypeFor[Config]()
	for _, s := range Settings() {
		v := Value{Setting: s, Value: set[s.Name], From: "environment"}
		if v.Value == "" {
			v.Value, v.From = s.Default, "default"
		} else if f, _ := t.FieldByName(fieldOf(s.Name)); f.Type == reflect.TypeFor[secret.Text]() {
			v.Value = secret.Text(v.Value).String()
			if s.Name == "OPENCLAW_API_KEY" { // two keys are to be told apart
				v.Value = keyfile.Masked(set[s.Name])
			}
		} else if u, err := url.Parse(v.Value); err == nil && u.User != nil {
			v.Value = u.Redacted()
		}
		if path := LoginFile(set); s.Name == "OPENCLAW_API_KEY" && v.Value == "" && set["OPENCLAW_API_KEY_FILE"] == "" && path != "" {
			if key, err := keyfile.Read(path); err == nil {
				v.Value, v.From = keyfile.Masked(key), path
			}
		}
		if s.Name == "OPENCLAW_LOCAL_DIR" && v.Value == "" {
			v.Value = DataDir(runtime.GOOS, set)
		}
		if s.Name == "OPENCLAW_MCP_STATE_DIR" && v.Value == "" {
			v.Value = StateDir(runtime.GOOS, set)
		}
		all = append(all, v)
	}
	return all
}

// fieldOf finds the field of a variable.
func fieldOf(variable string) string {
	for f := range reflect.TypeFor[Config]().Fields() {
		if f.Tag.Get("env") == variable {
			return f.Name
		}
	}
	return ""
}
