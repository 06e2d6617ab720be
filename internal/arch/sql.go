package arch

import (
	"regexp"
	"slices"
	"strings"
)

// hole stands for a part of a text that is not written out: a variable in a sum, a verb of a format.
const hole = "\x00"

var (
	// A statement begins like one in any case of letters and has its second word too, for "update" and "delete" are English as well …
	statement = regexp.MustCompile(`(?is)^\W*(select\b.*\bfrom\b|insert\s+into\b|replace\s+into\b|merge\s+into\b|update\b.*\bset\b|delete\s+from\b|` +
		`with\b.*\bas\s*\(|(create|drop|alter|truncate|lock)\s+(temp\s+|temporary\s+)?table\b)`)
	// … and a piece of one shows by its capitals, or by a table with an underline in its name, which is no English.
	piece = regexp.MustCompile(`\b(FROM|JOIN|INTO|UPDATE|TABLE)\s|(?i:\b(from|join|into|update|table)\s+\w+_\w+)`)

	sqlNoise = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'`)
	sqlToken = regexp.MustCompile("\x00|%[a-z]|[\\w.\"`\\[\\]]+|[(),;]")
)

// sqlTables are the names that stand where SQL has a table's name, in lower case; hole for one that is not written out. A text that is no SQL
// has none.
func sqlTables(text string) []string {
	if !statement.MatchString(text) && !piece.MatchString(text) {
		return nil
	}
	var (
		tables []string
		expect bool   // the next word is a table's name
		list   bool   // a comma brings another one
		outer  []bool // list, of the brackets around
		prev   string
	)
	for _, tok := range sqlToken.FindAllString(sqlNoise.ReplaceAllString(text, " ' "), -1) {
		word := strings.ToUpper(tok)
		switch {
		case word == "FROM":
			expect = prev != "DISTINCT" // IS DISTINCT FROM compares
			list = expect
		case word == "JOIN", word == "INTO", word == "TABLE", word == "USING":
			expect = true
		case word == "UPDATE":
			expect = prev != "FOR" && prev != "DO" && prev != "ON"
		case word == "(":
			outer = append(outer, list)
			list = expect && prev != "USING" // brackets around tables; SELECT ends it
			expect = list
		case word == ")":
			expect = false
			if n := len(outer); n > 0 {
				list, outer = outer[n-1], outer[:n-1]
			}
		case word == ",":
			expect = list
		case slices.Contains(endsList, word):
			expect, list = false, false
		case expect && slices.Contains(beforeName, word):
		case expect:
			tables = append(tables, bare(tok))
			expect = false
		}
		prev = word
	}
	return tables
}

var (
	endsList   = []string{"SELECT", "VALUES", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "SET", "RETURNING", "UNION", "WINDOW", "FOR", ";"}
	beforeName = []string{"ONLY", "LATERAL", "IF", "NOT", "EXISTS", "OF"}
)

// bare is a name without its quotes and its schema.
func bare(tok string) string {
	if tok == hole || tok[0] == '%' {
		return hole
	}
	name := tok[strings.LastIndex(tok, ".")+1:]
	return strings.ToLower(strings.Trim(name, "\"`[]"))
}
