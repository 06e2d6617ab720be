package evidence

// Member is a member of a pack's archive, for tests that take packs apart and put them together wrongly.
type Member struct {
	Name string
	Data []byte
}

// SplitZip takes an archive apart.
func SplitZip(data []byte) ([]Member, error) {
	members, err := splitZip(data)
	var all []Member
	for _, m := range members {
		all = append(all, Member{m.name, m.data})
	}
	return all, err
}

// WriteZip puts members together as they come.
func WriteZip(all []Member) []byte {
	var members []member
	for _, m := range all {
		members = append(members, member{name: m.Name, data: m.Data})
	}
	return writeZip(members)
}
