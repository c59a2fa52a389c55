// Command sign signs a file for `minisign -V`, and writes FILE.minisig.
//
//	SIGNING_KEY       the secret key's file, as minisign makes it; without it, a key is
//	                  made for this build alone, and its public half written beside the file
//	SIGNING_PASSWORD  the key's password, if it has one
//
// The secret key must be that of the public key that the repository holds
// (-public), so that what is published can be checked with it.
package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"aead.dev/minisign"
)

func main() {
	comment := flag.String("comment", "", "what is signed, which the signature covers")
	public := flag.String("public", "", "the public key that must match the secret one")
	flag.Parse()
	if err := run(flag.Args(), *comment, *public, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "sign:", err)
		os.Exit(1)
	}
}

func run(files []string, comment, public string, getenv func(string) string) error {
	if len(files) != 1 {
		return errors.New("give the one file to sign")
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	key, untrusted, err := secretKey(getenv("SIGNING_KEY"), getenv("SIGNING_PASSWORD"), public)
	if err != nil {
		return err
	}
	text, err := key.Public().(minisign.PublicKey).MarshalText()
	if err != nil {
		return err
	}
	signer := minisign.NewReader(bytes.NewReader(content)) // hashes it first, as minisign does today
	if _, err := new(bytes.Buffer).ReadFrom(signer); err != nil {
		return err
	}
	signature := signer.SignWithComments(key, comment, untrusted)
	return errors.Join(
		os.WriteFile(files[0]+".minisig", signature, 0o644),
		os.WriteFile(filepath.Join(filepath.Dir(files[0]), "minisign.pub"), append(text, '\n'), 0o644))
}

// secretKey reads the owner's key, or makes one for this once.
func secretKey(path, password, public string) (key minisign.PrivateKey, untrusted string, err error) {
	if path == "" {
		_, key, err = minisign.GenerateKey(rand.Reader)
		return key, "by a key made for this build alone: not for publication", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return key, "", fmt.Errorf("SIGNING_KEY: %w", err)
	}
	if minisign.IsEncrypted(text) {
		key, err = minisign.DecryptKey(password, text)
	} else {
		err = key.UnmarshalText(text)
	}
	if err != nil {
		return key, "", fmt.Errorf("SIGNING_KEY, SIGNING_PASSWORD: the secret key can't be read: %w", err)
	}
	known, err := minisign.PublicKeyFromFile(public)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return key, "", fmt.Errorf("there is no %s: put the public key there, so that people can check what you publish", public)
	case err != nil:
		return key, "", err
	case !known.Equal(key.Public()):
		return key, "", fmt.Errorf("SIGNING_KEY is not the key of %s", public)
	}
	return key, "openclaw-mcp release", nil
}
