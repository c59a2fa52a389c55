package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"

	"openclaw-mcp/internal/filewatch"
	text "openclaw-mcp/internal/secret"
)

// SubjectKeys says which OpenClaw API key belongs to which OAuth subject.
type SubjectKeys struct {
	file *filewatch.Watcher[map[string]secret]
}

// NewSubjectKeys reads a file of lines "subject:key", split at the last colon,
// with # before comments; or of one JSON object from subjects to keys, for keys
// with colons. The file is read again when it changes; while it is missing or
// broken, its last good content stays in use. Errors name the line or entry and
// never show its content.
func NewSubjectKeys(file string, log *slog.Logger) (*SubjectKeys, error) {
	w, err := filewatch.New(log, func(contents [][]byte) (map[string]secret, error) { return parseSubjects(contents[0]) }, file)
	if err != nil {
		return nil, err
	}
	return &SubjectKeys{w}, nil
}

func (s *SubjectKeys) get(subject string) (key string, ok bool) {
	found, ok := s.file.Get()[subject]
	if !ok {
		return "", false
	}
	return found.reveal(), true
}

func parseSubjects(text []byte) (map[string]secret, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not UTF-8 text")
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return parseSubjectObject(text)
	}
	all := map[string]secret{}
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		colon := strings.LastIndexByte(line, ':')
		if colon < 0 {
			return nil, fmt.Errorf("line %d is not of the form subject:key", i+1)
		}
		if err := addSubject(all, line[:colon], line[colon+1:]); err != nil {
			return nil, fmt.Errorf("line %d %w", i+1, err)
		}
	}
	return all, nil
}

// parseSubjectObject reads tokens, since a map would hide a subject's second key.
func parseSubjectObject(text []byte) (map[string]secret, error) {
	all := map[string]secret{}
	d := json.NewDecoder(bytes.NewReader(text))
	broken := func() error {
		return fmt.Errorf("is not one JSON object from subjects to keys; it is wrong near byte %d", d.InputOffset())
	}
	if _, err := d.Token(); err != nil {
		return nil, broken()
	}
	for n := 1; d.More(); n++ {
		subject, err := d.Token()
		if err != nil {
			return nil, broken()
		}
		key, err := d.Token()
		if err != nil {
			return nil, broken()
		}
		name, _ := subject.(string) // the decoder takes nothing else here
		value, ok := key.(string)
		if !ok {
			return nil, broken()
		}
		if err := addSubject(all, name, value); err != nil {
			return nil, fmt.Errorf("entry %d %w", n, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, broken()
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, broken()
	}
	return all, nil
}

func addSubject(all map[string]secret, subject, key string) error {
	if subject == "" || len(subject) > maxSubject {
		return fmt.Errorf("has a subject of %d bytes; it must have 1 to %d", len(subject), maxSubject)
	}
	if key == "" || len(key) > maxKey || !isWord(key) {
		return fmt.Errorf("has an invalid OpenClaw key; it must be one word of at most %d printable ASCII characters", maxKey)
	}
	if err := text.CheckWord(key); err != nil {
		return fmt.Errorf("has an OpenClaw key that %w", err)
	}
	if _, ok := all[subject]; ok {
		return errors.New("repeats a subject")
	}
	all[subject] = newSecret(key)
	return nil
}
