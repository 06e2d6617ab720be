package evidence

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/attorn/attorn/fault"
)

// The bounds of a pack.
const (
	MaxPack    = 64 << 20 // bytes
	MaxMembers = 10_000
	maxName    = 255 // bytes of a member's name
)

// member is one file of a pack.
type member struct {
	name string
	data []byte
	crc  uint32 // as the archive has it
}

// The one form of an archive (PKWARE APPNOTE 6.3.10 §4.3): members in order, stored, without extra fields, flags or comments, dated 1980-01-01,
// then the directory. So the members determine every byte, and a reader demands to find each of them.
const (
	localSignature   = 0x04034b50
	centralSignature = 0x02014b50
	endSignature     = 0x06054b50
	localLength      = 30
	versionStored    = 10
	dosDate          = 1<<5 | 1 // 1980-01-01
)

// writeZip joins members in the order they come in.
func writeZip(members []member) []byte {
	var b, central []byte
	le := binary.LittleEndian
	for _, m := range members {
		var head []byte // what the local and the central header share
		head = le.AppendUint16(head, versionStored)
		head = append(head, 0, 0, 0, 0, 0, 0) // flags, method stored, midnight
		head = le.AppendUint16(head, dosDate)
		head = le.AppendUint32(head, crc32.ChecksumIEEE(m.data))
		head = le.AppendUint32(head, uint32(len(m.data)))
		head = le.AppendUint32(head, uint32(len(m.data)))
		head = le.AppendUint16(head, uint16(len(m.name)))
		head = append(head, 0, 0) // no extra field

		central = le.AppendUint32(central, centralSignature)
		central = le.AppendUint16(central, versionStored)
		central = append(central, head...)
		central = append(central, make([]byte, 10)...) // no comment, disk 0, no attributes
		central = le.AppendUint32(central, uint32(len(b)))
		central = append(central, m.name...)

		b = le.AppendUint32(b, localSignature)
		b = append(b, head...)
		b = append(b, m.name...)
		b = append(b, m.data...)
	}
	start := len(b)
	b = append(b, central...)
	b = le.AppendUint32(b, endSignature)
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint16(b, uint16(len(members)))
	b = le.AppendUint16(b, uint16(len(members)))
	b = le.AppendUint32(b, uint32(len(central)))
	b = le.AppendUint32(b, uint32(start))
	return append(b, 0, 0)
}

// splitZip finds the members, which share data's memory. It believes the local headers; checkZip does not. Codes: too_large, pack_malformed.
func splitZip(data []byte) ([]member, error) {
	if len(data) > MaxPack {
		return nil, fault.New(fault.TooLarge, "too_large", "a pack has at most %d bytes, not %d", MaxPack, len(data))
	}
	var all []member
	le := binary.LittleEndian
	rest := data
	for len(rest) >= localLength && le.Uint32(rest) == localSignature {
		size, name := int(le.Uint32(rest[18:])), int(le.Uint16(rest[26:]))
		m := member{crc: le.Uint32(rest[14:])}
		if rest = rest[localLength:]; name > maxName || name+size > len(rest) {
			return nil, malformedPack("a member is cut short, or its name is too long")
		}
		m.name, m.data, rest = string(rest[:name]), rest[name:name+size:name+size], rest[name+size:]
		if !memberName(m.name) || len(all) > 0 && all[len(all)-1].name >= m.name {
			return nil, malformedPack("its members are not in order, or one has an odd name or comes twice")
		}
		if all = append(all, m); len(all) > MaxMembers {
			return nil, fault.New(fault.TooLarge, "too_large", "a pack has at most %d members", MaxMembers)
		}
	}
	if len(all) == 0 || len(rest) < 4 || le.Uint32(rest) != centralSignature {
		return nil, malformedPack("it is not an archive of stored members, one after the other, and their directory")
	}
	return all, nil
}

// checkZip demands that data is exactly what writeZip makes of the members that were found in it.
func checkZip(members []member, data []byte) error {
	if !bytes.Equal(writeZip(members), data) {
		return malformedPack("the archive is not in its one form: stored, fixed dates, nothing before, between or after the members")
	}
	return nil
}

// memberName accepts relative paths of letters, digits and `._-` without empty or dotted parts.
func memberName(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' {
			return false
		}
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-' && r != '/'
	}) < 0
}

func malformedPack(reason string, args ...any) error {
	return fault.New(fault.Invalid, "pack_malformed", "not an evidence pack: "+reason, args...)
}
