package api

// resourcePages are about services' own types and objects, and decisions about them.
var resourcePages = []ErrorGroup{
	{Title: "Types, objects and decisions of your own services", Pages: []ErrorPage{
		{"bad_type", "The file is no resource type.", "Mend what the message names."},
		{"duplicate_type", "Two files say what one type is.", "Remove one."},
		{"unknown_type", "There is no such resource type.", "See what there is: attorn resource type ls"},
		{"type_published", "The type is in the policies that are published, so commands do not change it.", "Change its file there, and publish."},
		{"type_in_use", "There are objects of the type.", "Remove them first: attorn resource ls TYPE"},
		{"type_unkept", "Objects of this type are not kept here: whoever asks about one says what it is like.", "Send its attributes as the resource's properties."},
		{"object_invalid", "The object has an id, attributes or parents that it cannot have.", "The message says what it takes."},
		{"resource_cycle", "The object would be in itself.", "Take it out of what is below it first."},
		{"resource_in_use", "Another object is in it.", "Move or remove that one first."},
		{"unknown_subject", "Nobody here is called so: names identify nobody.", "Give the id that attorn has, or keep an object that stands for the person or agent."},
		{"approval_needed", "People would have to approve this first.", "Have it done through attorn, which asks them."},
		{"subject_mismatch", "The token that was shown is somebody else's.", "Ask about who the token says acts."},
		{"page_token", "The page token is not of this search, or not of this caller.", "Begin again without a token."},
		{"principal_taken", "Another object of the type stands for this person or agent.", "Change or remove that one first."},
	}},
}
