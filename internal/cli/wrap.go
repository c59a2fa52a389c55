package cli

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
	"golang.org/x/term"
)

// columns is the width of a terminal; 0 for what is none.
func columns(stream any) int {
	f := file(stream)
	if f == nil || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return helpWidth
	}
	return width
}

// wrapped breaks lines that are too long for the terminal between words. Where stream
// is no terminal, it leaves the text as it is.
func wrapped(stream any, text string) string {
	if width := columns(stream); width > 0 {
		return wrapWords(text, width)
	}
	return text
}

// wrapWords breaks lines of more than width columns between words.
func wrapWords(text string, width int) string {
	w := wordWrap{width: width}
	return w.write(text) + w.end()
}

// wordWrap breaks lines between words while a text arrives. What follows is indented as
// the line was. A word is held back until its end, or as long as it may not fit.
type wordWrap struct {
	width int  // 0: no line is broken
	eager bool // a word that begins far from the right edge is shown while it comes

	shown     strings.Builder // in this call
	column    int
	indent    int  // of what follows in this line
	begun     bool // the line has something other than its indentation
	spaces    string
	word      string // with the sequences that colour it
	wordWidth int
	alone     bool // it begins with a wide character, so it need not follow spaces
	within    bool // the beginning of the word is shown
}

// eagerly is how long the words are that can be told to fit before they are whole.
const eagerly = 20

// stays are wide characters that begin no line.
const stays = "、。，．！？：；）」』】》"

// write takes the next piece of a text, and gives what to show now.
func (w *wordWrap) write(text string) string {
	if w.width == 0 {
		return text
	}
	g := displaywidth.Options{ControlSequences: true}.StringGraphemes(text)
	for g.Next() {
		c, width := g.Value(), g.Width()
		switch {
		case c == "\n" || c == "\r\n":
			w.endWord()
			w.shown.WriteByte('\n')
			w.column, w.indent, w.begun, w.spaces = 0, 0, false, ""
			continue
		case c == " " || c == "\t":
			w.endWord()
			w.spaces += strings.ReplaceAll(c, "\t", tab)
			if !w.begun {
				w.indent = len(w.spaces)
			}
			continue
		case width > 1 && !strings.Contains(stays, c):
			w.endWord()
			w.alone = true
		}
		w.word, w.wordWidth = w.word+c, w.wordWidth+width
		if w.eager && w.column+len(w.spaces)+w.wordWidth+eagerly <= w.width {
			w.showWord()
			w.within = true
		}
	}
	return w.take()
}

// unbroken takes a piece of a text whose lines stay as they are, such as code.
func (w *wordWrap) unbroken(text string) string {
	if w.width == 0 {
		return text
	}
	w.endWord()
	w.word, w.wordWidth = text, displaywidth.Options{ControlSequences: true}.String(text)
	w.showWord()
	return w.take()
}

// end gives what was held back.
func (w *wordWrap) end() string {
	w.endWord()
	w.showWord() // spaces
	return w.take()
}

func (w *wordWrap) take() string {
	defer w.shown.Reset()
	return w.shown.String()
}

// endWord shows the word, in a new line if it does not fit.
func (w *wordWrap) endWord() {
	fits := w.column+len(w.spaces)+w.wordWidth <= w.width
	if !fits && w.begun && !w.within && w.indent < w.width/2 && w.word != "" && (w.spaces != "" || w.alone) {
		w.shown.WriteString("\n")
		w.column, w.spaces = 0, strings.Repeat(" ", w.indent)
	}
	if w.word != "" {
		w.showWord()
	}
	w.alone, w.within = false, false
}

func (w *wordWrap) showWord() {
	w.shown.WriteString(w.spaces + w.word)
	w.column += len(w.spaces) + w.wordWidth
	if w.column > w.width {
		w.column = (w.column-1)%w.width + 1 // the terminal breaks it
	}
	if !w.begun && w.wordWidth > 0 {
		w.begun = true
		if w.word == "•" || w.word == "-" {
			w.indent += 2
		}
	}
	w.spaces, w.word, w.wordWidth = "", "", 0
}
