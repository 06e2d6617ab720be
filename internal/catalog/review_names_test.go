package catalog

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// TestNamesThatAnEngineRefuses: PostgreSQL takes no U+0000 and no other bytes than UTF-8. Who asks for such a name hears that there is none, and a
// server that offers one does not keep its other definitions from being stored.
func TestNamesThatAnEngineRefuses(t *testing.T) {
	each(t, func(r rig) {
		for _, name := range []string{"a\x00b", "\xff", "prompts/\x00", "\x00"} {
			_, err := r.Callable(t.Context(), id.Default, "files", name)
			wantCode(t, err, "unknown_tool")
			_, err = r.Server(t.Context(), id.Default, name)
			wantCode(t, err, "unknown_server")
			_, err = r.Callable(t.Context(), id.Default, name, "look")
			wantCode(t, err, "unknown_tool")
		}
	})
	for _, name := range []string{`a\u0000b`, strings.Repeat("x", 3000)} {
		if _, err := ReadItem(KindTool, []byte(`{"name":"`+name+`","inputSchema":{"type":"object"}}`)); fault.Code(err) != "definition_invalid" {
			t.Errorf("a name that cannot be stored: %v", err)
		}
	}
}
