package evidence

// Size estimates the bytes that the draft will store, for batching.
func (d Draft) Size() int {
	n := 1 << 10
	for _, c := range d.Content {
		n += len(c.Body)
	}
	for _, x := range d.Details {
		n += len(x.Disclosure)
	}
	return n
}
