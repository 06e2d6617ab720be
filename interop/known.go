package main

// known are the checks that fail, with why: "client: check".
var known = map[string]string{}
