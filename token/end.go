package token

import "time"

// clocks is how far the clocks of the processes that issue tokens may differ, in seconds; it is well inside the leeway of Verify.
const clocks = 5

// EndMark is what ends all tokens of somebody that were issued before now, by whichever process: those with an iat up to it, in seconds.
func EndMark(now time.Time) int64 { return now.Unix() + clocks }

// IssuedAfter is the iat of a token issued now to somebody whose earlier tokens were ended by marks: later than each of them, so at most a few
// seconds after now, where Verify accepts it.
func IssuedAfter(now time.Time, marks ...int64) int64 {
	iat := now.Unix()
	for _, m := range marks {
		iat = max(iat, m+1)
	}
	return iat
}
