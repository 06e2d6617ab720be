// Package graph draws who lent what to whom, as text for a terminal and as SVG for a page: bytes out of values, the same bytes for the same values. What others
// wrote is escaped, and what cannot be seen in it is shown as a mark.
package graph
