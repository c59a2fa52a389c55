package tools

import "openclaw-mcp/client"

func fileTools() []*Tool {
	return []*Tool{
		define(Spec{
			Name: "list_files", Title: "List files", Family: "files", Effect: Reads,
			Description: "Lists a directory, directories first; hidden files too, links not followed.",
			Props: map[string]Prop{
				"path":  {Default: client.Workspace},
				"depth": between(1, maxDepth),
				"sort":  oneOf("name", "size", "modified").or("name"),
				"limit": between(1, 1000).or(200),
			},
		}, listFiles),
		define(Spec{
			Name: "search_files", Title: "Search files", Family: "files", Effect: Reads,
			Description: "Finds lines in files, as file:line:text: in hidden ones too, not in .git or binary ones.",
			Props: map[string]Prop{
				"pattern": notEmpty(),
				"path":    {Default: client.Workspace},
				"context": between(0, 10),
				"limit":   between(1, maxMatches).or(100),
			},
		}, searchFiles),
		define(Spec{
			Name: "read_file", Title: "Read a file", Family: "files", Effect: Reads,
			Description: "Reads a file by lines or bytes, as much as a result holds; `next` reads on. Shows images; dumps other binaries.",
			Props: map[string]Prop{
				"path":     notEmpty(),
				"count":    atLeast(1),
				"encoding": oneOf("auto", "text", encBase64).or("auto"),
			},
		}, readFile),
		define(Spec{
			Name: "write_file", Title: "Write a file", Family: "files", Effect: Destroys,
			Description: "Writes a file, making its directories. Mode overwrite replaces what it held before; create refuses a file that exists.",
			Props: map[string]Prop{
				"path":     notEmpty(),
				"mode":     oneOf("create", "overwrite", "append").or("overwrite"),
				"encoding": oneOf("text", encBase64).or("text"),
				"content":  {Long: true},
			},
		}, writeFile),
		define(Spec{
			Name: "edit_file", Title: "Edit a file", Family: "files", Effect: Destroys,
			Description: "Replaces an exact text in a file, all or nothing, even while others write.",
			Props:       map[string]Prop{"path": notEmpty(), "old_text": {NotEmpty: true, Long: true}, "new_text": {Long: true}},
		}, editFile),
		define(Spec{
			Name: "make_directory", Title: "Make a directory", Family: "files", Effect: Writes,
			Description: "Makes a directory and any missing parents. One that exists is left as it is.",
			Props:       map[string]Prop{"path": notEmpty()},
		}, makeDirectory),
		define(Spec{
			Name: "manage_files", Title: "Move, copy or delete", Family: "files", Effect: Destroys,
			Description: "Moves, copies or deletes a file or directory under /workspace. Deleting and overwriting can't be undone.",
			Props: map[string]Prop{
				"action": oneOf("move", "copy", "delete"),
				"path":   notEmpty(),
			},
		}, manageFiles),
	}
}

// Image is a picture in a result, beside its text.
type Image struct {
	MIMEType string
	Data     string // base64
}

// imager is an output with pictures.
type imager interface{ images() []Image }
