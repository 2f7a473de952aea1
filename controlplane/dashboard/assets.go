package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gorilla/mux"
)

//go:embed static
var staticFiles embed.FS

// contentTypes has the content types of the files in static/, by extension. Loading fails for any
// other extension.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// assets has the files of static/. Each URL contains a hash of the content, so browsers can cache
// the file without expiry.
type assets struct {
	address map[string]string // "app.css" → "/static/app.3f….css"
	file    map[string]asset  // "app.3f….css"
}

type asset struct {
	body        []byte
	contentType string
}

func loadAssets() (*assets, error) {
	a := &assets{address: map[string]string{}, file: map[string]asset{}}
	err := fs.WalkDir(staticFiles, "static", func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := staticFiles.ReadFile(p)
		if err != nil {
			return err
		}
		name, ext := path.Base(p), path.Ext(p)
		kind, ok := contentTypes[ext]
		if !ok {
			return fmt.Errorf("static/%s: unknown content type", name)
		}
		sum := sha256.Sum256(body)
		hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext
		a.address[name], a.file[hashed] = "/static/"+hashed, asset{body, kind}
		return nil
	})
	return a, err
}

// url returns the URL of a file in static/. Templates call it.
func (a *assets) url(name string) (string, error) {
	if u, ok := a.address[name]; ok {
		return u, nil
	}
	return "", fmt.Errorf("static/%s: not found", name)
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	file, ok := a.file[mux.Vars(r)["file"]]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", file.contentType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.body))
}
