package install

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
)

// entry is what goes into the configuration, and the key that it needs.
func (c *command) entry() (object, apiKey, error) {
	var k apiKey
	if c.HTTP != "" {
		s := server{url: c.HTTP}
		if c.KeyInConfig {
			var err error
			if k, err = c.key(); err != nil {
				return nil, k, err
			}
			s.token = k.value
		}
		return c.client.entry(s), k, nil
	}
	if !filepath.IsAbs(c.Exe) {
		return nil, k, fmt.Errorf("the path of this program is not known (%q)", c.Exe)
	}
	if strings.Contains(filepath.ToSlash(c.Exe), "/go-build") {
		return nil, k, errors.New("'go run' deletes this program when it ends, so no client could start it; build or install it first ('go build -o openclaw-mcp .')")
	}
	s := server{command: c.Exe, env: c.env}
	if c.Local {
		s.args = []string{"--local"}
		return c.client.entry(s), k, nil
	}
	k, err := c.key()
	if err != nil {
		return nil, k, err
	}
	if c.KeyInConfig {
		s.env = append(object{{"OPENCLAW_API_KEY", k.value}}, s.env...)
	} else {
		s.env = append(object{{"OPENCLAW_API_KEY_FILE", k.file}}, s.env...)
	}
	return c.client.entry(s), k, nil
}

// print prints the entry for a client of which nothing is known.
func (c *command) print() error {
	entry, k, err := c.entry()
	if err != nil {
		return err
	}
	if err := c.confirm(k); err != nil {
		return err
	}
	if err := c.saveKey(k); err != nil {
		return err
	}
	text, err := c.client.format.put(nil, c.client.container, c.Name, rendering{members: entry})
	if err != nil {
		return err
	}
	_, err = c.Stdout.Write(text)
	return err
}

// installed tells whether an entry does what the wanted one does. What its user
// added, such as further variables, is no difference.
func installed(existing any, want map[string]any) bool {
	have, ok := existing.(map[string]any)
	if !ok {
		return false
	}
	for _, key := range transports {
		if want[key] == nil && have[key] != nil {
			return false
		}
	}
	if args, ok := have["args"].([]any); ok && len(args) > 0 && want["args"] == nil {
		return false
	}
	haveEnv, _ := have["env"].(map[string]any)
	wantEnv, _ := want["env"].(map[string]any)
	for _, name := range keyVariables {
		if wantEnv[name] == nil && haveEnv[name] != nil {
			return false
		}
	}
	return covers(have, want)
}

func covers(have, want any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(have, want)
	}
	h, ok := have.(map[string]any)
	for key := range w {
		ok = ok && covers(h[key], w[key])
	}
	return ok
}
