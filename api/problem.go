package api

// Problem is a refusal (RFC 9457), application/problem+json.
type Problem struct {
	Type      string `json:"type"` // where the code is documented
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"` // stable
	Detail    string `json:"detail"`
	Remedy    string `json:"remedy,omitempty"`
	RequestID string `json:"request_id"`
}
