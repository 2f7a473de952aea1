package dashboard

import "strings"

// browserMarks and systemMarks are the parts of a User-Agent that identify browsers and operating
// systems, most specific first: most browsers also name the browsers that they derive from.
var (
	browserMarks = []struct{ mark, word string }{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"},
		{"Chromium/", "Chromium"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	systemMarks = []struct{ mark, word string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"},
		{"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// browserTitle returns the name of the browser that sent this User-Agent, such as "Firefox on
// Linux". It helps users recognize their own sessions and proves nothing: clients choose it.
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
