package console

import (
	"net/http"
	"path"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// asset is a static file.
type asset struct {
	body    []byte
	kind    string // media type
	version string
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

func readAssets() map[string]asset {
	all := map[string]asset{}
	entries, err := files.ReadDir("static")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, e := range entries {
		body, err := files.ReadFile(path.Join("static", e.Name()))
		if err != nil {
			panic(err) // it is embedded
		}
		all[e.Name()] = asset{body, assetKinds[path.Ext(e.Name())], id.Sum(body).String()[:12]}
	}
	return all
}

// assetPath is where a page finds a file: with its version, so that it can be kept for ever.
func (f *face) assetPath(name string) string {
	return "/static/" + name + "?v=" + f.assets[name].version
}

func serveAsset(x *request) error {
	a, ok := x.assets[x.r.PathValue("file")]
	if !ok || a.kind == "" {
		return fault.New(fault.NotFound, "not_found", "there is no such file")
	}
	h := x.w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "public, max-age=3600")
	if x.r.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", `"`+a.version+`"`)
	if x.r.Header.Get("If-None-Match") == `"`+a.version+`"` {
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, _ = x.w.Write(a.body) // the browser is gone: nothing to do
	return nil
}
