package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxStream is the most that one upstream may send on the stream of one call, in bytes.
const maxStream = 64 << 20

var errStream = errors.New("the event stream breaks its form or a limit")

// readEvents reads server-sent events (WHATWG HTML §9.2.6) and calls each with the data of every event that is a message and has any, until
// the stream ends or each returns an error. It is stricter than a browser: a carriage return is only allowed before a line feed, so that
// every reader sees the same lines. An event that the stream's end cuts off is dropped, as there.
func readEvents(r io.Reader, each func(data []byte) error) error {
	in := bufio.NewReaderSize(io.LimitReader(r, maxStream), 32<<10)
	var data []byte
	has, name := false, ""
	for {
		line, err := readLine(in, maxEvent+64)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(line) == 0 {
			if has && len(data) > 0 && (name == "" || name == "message") {
				if err := each(data); err != nil {
					return err
				}
			}
			data, has, name = nil, false, ""
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			if has {
				data = append(data, '\n')
			}
			data, has = append(data, value...), true
			if len(data) > maxEvent {
				return errStream
			}
		case "event":
			name = string(value)
		}
	}
}

// readLine returns the next line without its end; io.EOF for the rest that has no end.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return nil, errStream
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		break
	}
	line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	if bytes.IndexByte(line, '\r') >= 0 {
		return nil, errStream
	}
	return line, nil
}

// appendEvent writes one message as an event; message has no line breaks.
func appendEvent(b, message []byte) []byte {
	b = append(b, "event: message\ndata: "...)
	b = append(b, message...)
	return append(b, "\n\n"...)
}
