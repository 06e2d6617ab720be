package policy

// nearest is the known word that was most likely meant by word, or "": at most a third of its letters, and one at least, may differ. Two letters that changed places
// are one difference.
func nearest(word string, known []string) string {
	best, least := "", max(1, len(word)/3)
	for _, k := range known {
		if n := differences(word, k, least+1); n < least || n == least && (best == "" || k < best) {
			best, least = k, n
		}
	}
	return best
}

// differences is the edit distance of a and b (optimal string alignment), or limit if it is not less.
func differences(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 256 {
		return limit
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := rows[2]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(rows[1][j]+1, row[j-1]+1, rows[1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], rows[0][j-2]+1)
			}
		}
		rows[0], rows[1], rows[2] = rows[1], rows[2], rows[0]
	}
	return min(rows[1][len(b)], limit)
}

// meant is a question to put behind a message about a word that is not known.
func meant(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return "; is " + near + " meant?"
	}
	return ""
}
