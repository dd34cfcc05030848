package config

import "strings"

// maxSuggested is the longest text that is compared: the cost is its square.
const maxSuggested = 64

// Suggest is "; did you mean x?" for the candidate that is nearest to a text, or
// nothing, for words that are not about a file.
func Suggest(text string, candidates []string) string { return suggest(text, candidates) }

// suggest is "; did you mean x?" for the candidate that is nearest to a text,
// or nothing where none is near.
func suggest(text string, candidates []string) string {
	best, distance := "", 1+min(3, len(text)/3)
	if len(text) > maxSuggested {
		return ""
	}
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(text), strings.ToLower(c)); d < distance && c != "" {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance counts insertions, deletions, replacements and swaps of
// neighbours (the optimal string alignment).
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
