package dashboard

import "strings"

// browserMarks and systemMarks are what browsers and systems put into a User-Agent, the more telling ones first: most
// browsers also name those that they descend from.
var (
	browserMarks = []struct{ mark, word string }{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	systemMarks = []struct{ mark, word string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// browserTitle returns what a browser that sent this User-Agent is called: "Firefox on Linux". It is for people to
// recognize their own by, and no proof of anything.
func browserTitle(agent string) string {
	browser, system := findMark(browserMarks, agent), findMark(systemMarks, agent)
	switch {
	case agent == "":
		return "Unknown browser"
	case browser == "" && system == "":
		return agent
	case browser == "":
		return "Unknown browser on " + system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

func findMark(marks []struct{ mark, word string }, agent string) string {
	for _, m := range marks {
		if strings.Contains(agent, m.mark) {
			return m.word
		}
	}
	return ""
}
