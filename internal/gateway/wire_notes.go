package gateway

import (
	"github.com/go-json-experiment/json/jsontext"
)

// progressParams are the members of notifications/progress (MCP 2026-07-28, ProgressNotificationParams).
type progressParams struct {
	Token    jsontext.Value `json:"progressToken"`
	Progress jsontext.Value `json:"progress"`
	Total    jsontext.Value `json:"total"`
	Message  jsontext.Value `json:"message"`
}

type logParams struct {
	Level  jsontext.Value `json:"level"`
	Logger jsontext.Value `json:"logger"`
	Data   jsontext.Value `json:"data"`
}

// encodeNote writes an upstream's notification anew for the client whose request it belongs to, with the client's own progress token. It
// returns nil for one that is not passed on: another kind, another form, or progress that nobody asked for.
func encodeNote(m message, id int64, progress jsontext.Value) []byte {
	switch m.Method {
	case "notifications/progress":
		var p progressParams
		if m.Params == nil || foreign(m.Params, &p) != nil || p.Progress.Kind() != '0' || progress == nil || !isToken(p.Token, id) {
			return nil
		}
		o := (&object{}).raw("progressToken", progress).raw("progress", p.Progress)
		if p.Total.Kind() == '0' {
			o.raw("total", p.Total)
		}
		if p.Message.Kind() == '"' {
			o.raw("message", p.Message)
		}
		return encodeNotification(m.Method, o.end())
	case "notifications/message":
		var p logParams
		if m.Params == nil || foreign(m.Params, &p) != nil || p.Level.Kind() != '"' || p.Data == nil {
			return nil
		}
		o := (&object{}).raw("level", p.Level)
		if p.Logger.Kind() == '"' {
			o.raw("logger", p.Logger)
		}
		return encodeNotification(m.Method, oneLine(o.raw("data", p.Data).end()))
	}
	return nil
}

// isToken reports whether a progress token is our request's id.
func isToken(v jsontext.Value, id int64) bool {
	n, ok := integerOf(v)
	return ok && n == id
}
