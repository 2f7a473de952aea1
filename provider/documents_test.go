package provider

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oasdiff/yaml"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/internal/doctest"
)

// allDocuments runs the blocks of every document. Otherwise, only those of the quick documents run,
// and the configurations of the others are validated.
var allDocuments = flag.Bool("documents.full", false, "run the blocks of every document")

// quickDocuments run with every `go test`.
var quickDocuments = []string{"docs/guides/migrating-from-acme.md"}

// documentBlocks returns the blocks of the documents for users, in order.
func documentBlocks(t *testing.T) map[string][]*doctest.Block {
	t.Helper()
	all := map[string][]*doctest.Block{}
	for _, pattern := range []string{"README.md", "docs/index.md", "docs/guides/*.md"} {
		names, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("Glob(%s) = %v, %v, want documents", pattern, names, err)
		}
		for _, name := range names {
			short := strings.TrimPrefix(filepath.ToSlash(name), "../")
			if all[short], err = doctest.Parse(short, readFile(&acc{T: t}, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// syntax checks blocks by their language. A language with a nil check is checked elsewhere:
// terraform by TestGuidesAreFormatted.
var syntax = map[string]func(t *testing.T, b *doctest.Block) error{
	"terraform": nil, "text": nil, "http": nil, "caddyfile": nil, "ini": nil, "haproxy": nil,
	"nginx": nil,
	"bash":  func(t *testing.T, b *doctest.Block) error { return checkWith(t, b, "bash", "-n") },
	"shell": func(t *testing.T, b *doctest.Block) error { return checkWith(t, b, "bash", "-n") },
	"sh":    func(t *testing.T, b *doctest.Block) error { return checkWith(t, b, "bash", "-n") },
	"js": func(t *testing.T, b *doctest.Block) error {
		return checkWith(t, b, "node", "--check", "--input-type=module")
	},
	"python": func(t *testing.T, b *doctest.Block) error {
		return checkWith(t, b, "python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())")
	},
	"go": func(_ *testing.T, b *doctest.Block) error {
		_, err := parser.ParseFile(token.NewFileSet(), "main.go", b.Text, parser.AllErrors)
		return err
	},
	"json": func(_ *testing.T, b *doctest.Block) error {
		var v any
		return json.Unmarshal([]byte(b.Text), &v)
	},
	"yaml": func(_ *testing.T, b *doctest.Block) error {
		var v any
		_, err := yaml.Unmarshal([]byte(b.Text), &v, yaml.DecodeOpts{})
		return err
	},
}

// checkWith passes a block to a program that checks its syntax.
func checkWith(t *testing.T, b *doctest.Block, name string, args ...string) error {
	if _, err := exec.LookPath(name); err != nil {
		t.Logf("not checked: %s: %v", b.At(), err)
		return nil
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(b.Text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Each block of the documents is well-formed, and either runs, is an output, or says why it does
// not run. The test prints the table of documents.
func TestDocumentBlocks(t *testing.T) {
	t.Parallel()
	all := documentBlocks(t)
	marked := 0
	var table strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		run, not, outputs, shown := 0, 0, 0, 0
		of := map[*doctest.Block]bool{}
		for _, b := range all[name] {
			for _, out := range b.Outputs {
				of[out] = true
			}
			switch {
			case b.NotRun != "":
				not++
			case of[b]:
				outputs++
			case b.Language != "" && syntax[b.Language] == nil && b.Language != "terraform":
				shown++ // text, and the configuration of other programs
			case b.Language == "":
				t.Errorf("%s: the block has no language and follows no other block", b.At())
			default:
				run++
			}
			if b.Language == "" {
				continue
			}
			check, known := syntax[b.Language]
			if !known {
				t.Errorf("%s: no check for the language %s", b.At(), b.Language)
			} else if check != nil {
				if err := check(t, b); err != nil {
					t.Errorf("%s: malformed %s: %v", b.At(), b.Language, err)
				}
			}
		}
		marked += not
		fmt.Fprintf(&table, "\n%-36s %2d blocks: %2d run, %2d not run, %2d outputs, %2d text", name,
			len(all[name]), run, not, outputs, shown)
	}
	t.Log(table.String())
	const most = 13
	if marked > most {
		t.Errorf("%d blocks are not run, want at most %d", marked, most)
	}
}

// docRun runs the blocks of one document in a sandbox, as a reader would.
type docRun struct {
	*workspace
	stubs *stubs
	files map[string]string
	// providers of the reader's module: they remain when other files are removed
	required map[string]string
	values   *strings.Replacer
	n        int // blocks that were run
}

// The blocks of the documents work when they are followed in order: configurations apply with stubs
// of the other providers, the next plan is empty, and commands succeed and print what the document
// shows.
func TestDocumentsRun(t *testing.T) {
	all := documentBlocks(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		full := *allDocuments || slices.Contains(quickDocuments, name)
		t.Run(name, func(t *testing.T) {
			d := newDocRun(t, name)
			for _, b := range all[name] {
				if b.NotRun != "" {
					continue
				}
				switch b.Language {
				case "terraform":
					d.terraform(b, full)
				case "bash":
					d.write("path/"+b.Option("install"), d.values.Replace(b.Text), 0o755)
				case "shell", "sh":
					// The control plane's tests run those of self-hosting. A configuration needs
					// the file that a quick one creates.
					if (full || b.Has("quick")) && name != "docs/guides/self-hosting.md" {
						d.shell(b)
					}
				case "go", "js", "python":
					if full {
						d.receiver(b)
					}
				}
			}
			d.end(full)
			t.Logf("%s: %d blocks run", name, d.n)
		})
	}
}

// newDocRun returns a sandbox: an organization, its tokens in files, and a checkout with what the
// documents use.
func newDocRun(t *testing.T, name string) *docRun {
	t.Helper()
	a := newAcc(t).organization(t)
	d := &docRun{workspace: a.workspace(nil), stubs: startStubs(t, a.playground),
		files: map[string]string{}, required: map[string]string{}}
	// Documents share names, and run in parallel.
	domain := notInNames.ReplaceAllString(strings.ToLower(name), "-") + ".doctest.example"
	d.env = append(d.env, "TF_REATTACH_PROVIDERS="+d.stubs.reattach, "TF_CLI_ARGS=-no-color",
		"TF_CLI_ARGS_apply=-auto-approve", "TF_CLI_ARGS_destroy=-auto-approve", "TF_INPUT=0",
		"TF_VAR_cloudflare_zone_id=zone", `TF_VAR_zones={"`+domain+`"="Z1","shop.`+domain+`"="Z2"}`,
		"TF_VAR_webhook_secret="+webhookSecret(1), "TF_VAR_domain=quickstart."+domain, "PATH="+d.dir+"/path:"+os.Getenv("PATH"),
		"HOME="+d.dir)
	for name, text := range map[string]string{"path/aws": stubAWS,
		"install-certificate.sh": "#!/bin/sh\ntest -n \"$CERTIFICATE\" && test -n \"$KEY\"\n"} {
		d.write(name, text, 0o755)
	}
	d.checkout()
	other := a.organization(t)
	ours, err := a.client.Organization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.client.Organization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for file, token := range map[string]string{"dcvaas-token": a.token, "dcvaas-shop": a.token,
		"dcvaas-blog": other.token} {
		d.write("run/secrets/"+file, token, 0o600)
	}
	d.values = strings.NewReplacer("/run/secrets/", d.dir+"/run/secrets/",
		"/etc/", d.dir+"/etc/", "https://dcvaas.example.net", a.endpoint,
		"https://dcvaas.example.com", a.endpoint, "org_01k9z5w7r8e4bs6v0q1d2m3n4p", ours.Id,
		"org_01k9z5xfm3f7d9t2v8w4y6a1bc", theirs.Id,
		"example.com", domain)
	return d
}

// checkout puts what the documents use into the sandbox: the state of the development stack, the
// programs, and the examples.
func (d *docRun) checkout() {
	d.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Join(d.dir, "etc", "ssl", "private"), 0o700), os.Mkdir(filepath.Join(d.dir, ".dcvaas"), 0o700), os.Symlink(built.dir, filepath.Join(d.dir, "bin")),
		os.CopyFS(filepath.Join(d.dir, "examples"), os.DirFS(examples))); err != nil {
		d.Fatal(err)
	}
	dev := readFile(d.acc, filepath.Join(plane.dir, "dcvaas", "dev.env"))
	d.write(".dcvaas/dev.env", strings.ReplaceAll(dev, plane.dev.Token, d.token), 0o600)
}

func (d *docRun) write(name, text string, mode os.FileMode) {
	d.Helper()
	path := filepath.Join(d.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text),
		mode)); err != nil {
		d.Fatal(err)
	}
}

// terraform adds a block to the configuration and applies it. The next plan must be empty.
func (d *docRun) terraform(b *doctest.Block, full bool) {
	d.Helper()
	d.n++
	if b.Has("new") {
		kept := d.files[b.Option("keep")]
		d.end(full)
		d.files = map[string]string{}
		if kept != "" {
			d.files[b.Option("keep")] = kept
		}
	}
	given := "given.tf"
	if name := b.Option("given"); name != "" {
		given = name
	}
	if b.Given != "" {
		d.files[given] = b.Given
	}
	if b.Option("before") == "given" {
		d.apply(b.At()+" (before)", full)
		providers, _, _ := strings.Cut(b.Given, "\n}\n")
		d.files[given] = providers + "\n}\n"
	}
	text := b.Text
	if b.Option("import") == "token" {
		text = d.importing(text)
	}
	if name := d.values.Replace(b.Option("issued")); name != "" && full {
		d.added(name)
		d.activate(name)
	}
	if name := d.values.Replace(b.Option("delegate")); name != "" && full {
		d.delegate(name)
	}
	name := fmt.Sprintf("line%d.tf", b.Line)
	if file := b.Option("file"); file != "" {
		name = file
	}
	d.files[name] = text
	d.stubs.taken()
	d.apply(b.At(), full)
	if b.Has("plan-token") && full {
		d.planWith(b)
	}
	if address := b.Option("again"); address != "" && full {
		if out, err := d.cli("apply", "-replace="+address); err != nil {
			d.Errorf("%s: terraform apply -replace=%s: %v\n%s", b.At(), address, err, out)
		}
	}
	if gone := d.stubs.taken(); b.Has("none-destroyed") && len(gone) > 0 {
		d.Errorf("%s destroys %v, want nothing", b.At(), gone)
	}
}

var quoted = regexp.MustCompile(`"([^"]+)"`)

// planWith plans the configuration with a token that has only the scopes of the token in the block.
func (d *docRun) planWith(b *doctest.Block) {
	d.Helper()
	_, list, _ := strings.Cut(b.Text, "scopes")
	list, _, _ = strings.Cut(list, "]")
	in := client.TokenCreate{Name: "plan"}
	for _, m := range quoted.FindAllStringSubmatch(list, -1) {
		in.Scopes = append(in.Scopes, client.Scope(m[1]))
	}
	token, err := d.client.CreateToken(d.Context(), in)
	if err != nil {
		d.Fatal(err)
	}
	cmd := exec.Command(cli(), "plan", "-detailed-exitcode")
	cmd.Dir, cmd.Env = d.dir, append(d.env, envAPIToken+"="+token.Token)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.Errorf("%s: terraform plan with the scopes %v: %v\n%s", b.At(), in.Scopes, err, out)
	}
}

// importing returns a configuration that imports a token of this organization.
func (d *docRun) importing(text string) string {
	d.Helper()
	token, err := d.client.CreateToken(d.Context(), client.TokenCreate{Name: "web server",
		Scopes: []client.Scope{client.ScopeDomainsRead, client.ScopeCertificatesRead}})
	if err != nil {
		d.Fatal(err)
	}
	return strings.ReplaceAll(text, "tok_01k9z5w7r8e4bs6v0q1d2m3n4p", token.Id)
}

var (
	requiredProviders = regexp.MustCompile(`(?m)^terraform \{\n  required_providers \{\n(?:    .*\n)*  \}\n\}\n`)
	requiredProvider  = regexp.MustCompile(`(?m)^ +(\w+) *= \{[^}]*\}`)
)

// writeFiles writes the configuration. A configuration has one list of required providers, so those
// of all blocks are merged, as a reader would.
func (d *docRun) writeFiles() {
	d.Helper()
	old, err := filepath.Glob(filepath.Join(d.dir, "*.tf"))
	if err != nil {
		d.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			d.Fatal(err)
		}
	}
	for name, text := range d.files {
		for _, block := range requiredProviders.FindAllString(text, -1) {
			for _, m := range requiredProvider.FindAllStringSubmatch(block, -1) {
				d.required[m[1]] = m[0]
			}
		}
		d.write(name, d.values.Replace(requiredProviders.ReplaceAllString(text, "")), 0o600)
	}
	d.write("versions.tf", "terraform {\n  required_providers {\n"+
		strings.Join(slices.Collect(maps.Values(d.required)), "\n")+"\n  }\n}\n", 0o600)
}

// apply applies the files. The next plan must be empty.
func (d *docRun) apply(at string, full bool) {
	d.Helper()
	if !full {
		return // see end
	}
	d.writeFiles()
	for _, args := range [][]string{{"apply"}, {"plan", "-detailed-exitcode"}} {
		if out, err := d.cli(args...); err != nil {
			d.Fatalf("%s: terraform %s: %v\n%s", at, strings.Join(args, " "), err, out)
		}
	}
}

// end destroys what was applied, or validates what was not.
func (d *docRun) end(full bool) {
	d.Helper()
	if len(d.files) == 0 {
		return
	}
	command := "destroy"
	if !full {
		d.writeFiles()
		command = "validate"
	}
	if out, err := d.cli(command); err != nil {
		d.Errorf("terraform %s: %v\n%s", command, err, out)
	}
	d.files = map[string]string{}
}

// cli runs a command of Terraform.
func (d *docRun) cli(args ...string) (string, error) {
	cmd := exec.Command(cli(), args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// missingTool returns the first program of a block that this machine lacks.
func missingTool(b *doctest.Block) string {
	for _, tool := range []string{"dig", "jq", "curl", "openssl"} {
		if regexp.MustCompile(`(^|[\s(|])` + tool + ` `).MatchString(b.Text) {
			if _, err := exec.LookPath(tool); err != nil {
				return tool
			}
		}
	}
	return ""
}

// shell runs a block of commands. It must succeed, and print the lines that the document shows.
// Each block starts where the one before has ended: in its folder, with its variables.
func (d *docRun) shell(b *doctest.Block) {
	d.Helper()
	if tool := missingTool(b); tool != "" {
		d.Logf("not run: %s: %s is not installed", b.At(), tool)
		return
	}
	d.n++
	script := "set -eo pipefail\n[ ! -f ~/.session ] || . ~/.session\n" + d.values.Replace(b.Text) +
		"\n{ export -p; echo cd \"'$PWD'\"; declare -p auth api 2>/dev/null || true; } >~/.session\n"
	cmd := exec.CommandContext(d.Context(), "bash", "-c", script)
	cmd.Dir, cmd.Env = d.dir, d.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.Fatalf("%s: %v\n%s", b.At(), err, out)
	}
	for _, shown := range b.Outputs {
		printed := maskedLines(string(out))
		for _, line := range maskedLines(d.values.Replace(shown.Text)) {
			at := slices.Index(printed, line)
			if at < 0 {
				d.Errorf("%s prints:\n%s\nwant the line %q, as in the document", b.At(), out, line)
				break
			}
			printed = printed[at+1:]
		}
	}
}

var (
	notInNames = regexp.MustCompile(`[^a-z0-9]+`)

	volatileHash   = regexp.MustCompile(`\b[a-z2-7]{32}\b`)
	volatileID     = regexp.MustCompile(`\b(dom|crt|job|tok|org|evt|whk)_[0-9a-z]{26}\b`)
	volatileTime   = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	volatileIssuer = regexp.MustCompile(`Intermediate CA [0-9a-f]{6}`)
)

// maskedLines returns the lines of a text without what differs from run to run.
func maskedLines(text string) []string {
	text = volatileHash.ReplaceAllString(text, "{hash}")
	text = volatileID.ReplaceAllString(text, "{id}")
	text = volatileTime.ReplaceAllString(text, "{time}")
	text = volatileIssuer.ReplaceAllString(text, "Intermediate CA {id}")
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && line != "…" {
			out = append(out, line)
		}
	}
	return out
}

// stubAWS is the command aws as the guide of ACM uses it: it keeps the tag and the certificate of
// one import, and checks that each later one replaces it.
const stubAWS = `#!/bin/bash
set -e
case "$1 $2" in
"resourcegroupstaggingapi get-resources")
  if [ -f ~/imported ]; then cat ~/imported; else echo None; fi ;;
"acm import-certificate")
  shift 2
  case $1 in
  --tags) [ ! -f ~/imported ] && echo arn:aws:acm:stub >~/imported ;;
  --certificate-arn) [ "$2" = "$(cat ~/imported)" ] && echo again >>~/imported.again ;;
  *) exit 1 ;;
  esac
  for file; do
    case $file in fileb://*) grep -q BEGIN "${file#fileb://}" ;; esac
  done ;;
*) echo "aws: unknown command $*" >&2; exit 1 ;;
esac
`

// receiver runs an example receiver: it accepts signed deliveries and rejects all others with 401.
func (d *docRun) receiver(b *doctest.Block) {
	d.Helper()
	file, port := b.Option("file"), fmt.Sprint(freePort(d.acc))
	dir := filepath.Join(d.dir, "receiver-"+b.Language)
	d.write(filepath.Join("receiver-"+b.Language, file), strings.ReplaceAll(b.Text, "8081", port),
		0o600)
	var cmd *exec.Cmd
	switch b.Language {
	case "go":
		binary := filepath.Join(dir, "receiver")
		if out, err := exec.Command("go", "build", "-o", binary,
			filepath.Join(dir, file)).CombinedOutput(); err != nil {
			d.Fatalf("%s: go build: %v: %s", b.At(), err, out)
		}
		cmd = exec.Command(binary)
	case "js":
		install := exec.Command("npm", "install", "--no-audit", "--no-fund", "standardwebhooks")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			d.Logf("not run: %s: npm install standardwebhooks: %v: %s", b.At(), err, out)
			return
		}
		cmd = exec.Command("node", file)
	default:
		cmd = exec.Command("python3", file)
	}
	d.n++
	secret := webhookSecret(1)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "WEBHOOK_SECRET="+secret)
	if err := cmd.Start(); err != nil {
		d.Logf("not run: %s: %v", b.At(), err)
		return
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	d.deliveries(b, "http://127.0.0.1:"+port+"/hooks/dcvaas", secret)
}

// deliveries posts a signed delivery and forged ones.
func (d *docRun) deliveries(b *doctest.Block, url, secret string) {
	d.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		d.Fatal(err)
	}
	now, body := time.Now(), `{"type":"domain.renewed","data":{}}`
	signature, err := hook.Sign("evt_1", now, []byte(body))
	if err != nil {
		d.Fatal(err)
	}
	signed := http.Header{"Webhook-Id": {"evt_1"}, "Webhook-Timestamp": {fmt.Sprint(now.Unix())},
		"Webhook-Signature": {signature}, "Content-Type": {"application/json"}}
	without := func(name string) http.Header {
		h := signed.Clone()
		h.Del(name)
		return h
	}
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		want   int
	}{
		{"signed", signed, body, 204}, {"unsigned", http.Header{}, body, 401},
		{"no ID", without("Webhook-Id"), body, 401},
		{"no timestamp", without("Webhook-Timestamp"), body, 401},
		{"no signature", without("Webhook-Signature"), body, 401},
		{"changed", signed, body + " ", 401},
	} {
		got, err := post(url, c.header, c.body)
		for range 600 {
			if err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond) // the receiver starts
			got, err = post(url, c.header, c.body)
		}
		if err != nil || got != c.want {
			d.Errorf("%s: %s delivery = %d, %v, want %d", b.At(), c.name, got, err, c.want)
		}
	}
}

func post(url string, header http.Header, body string) (int, error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func freePort(a *acc) int {
	a.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

var (
	guideLink = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	headingOf = regexp.MustCompile("(?m)^#+ (.*)$")
	anchorID  = regexp.MustCompile(`<a id="([^"]+)">`)
	notAnchor = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors returns the anchors of a document.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range headingOf.FindAllStringSubmatch(text, -1) {
		name := notAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		all[strings.ReplaceAll(name, " ", "-")] = true
	}
	for _, m := range anchorID.FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	return all
}

// Every link of the pages leads to a page and a heading. Every guide says what its reader has at
// its end, links the next guide, and is in the index.
func TestGuidesAreLinked(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/guides/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("Glob(docs/guides) = %d pages, %v, want at least 10", len(pages), err)
	}
	index := readFile(&acc{T: t}, "../docs/index.md")
	resources, err := filepath.Glob("../docs/resources/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range slices.Concat(pages, resources, []string{"../docs/index.md",
		"../README.md", "../SECURITY.md"}) {
		text := readFile(&acc{T: t}, page)
		for _, m := range guideLink.FindAllStringSubmatch(text, -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, ":") {
				continue
			}
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			} else if anchor != "" && !anchors(readFile(&acc{T: t}, target))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", page, m[1])
			}
		}
		if !strings.Contains(page, "/guides/") {
			continue
		}
		name := filepath.Base(page)
		if !strings.Contains(index, "(guides/"+name+")") {
			t.Errorf("docs/index.md does not link guides/%s", name)
		}
		if !strings.Contains(text, "At the end of this guide, ") {
			t.Errorf("guides/%s does not say what its reader has at its end", name)
		}
		if _, next, ok := strings.Cut(text, "\nNext: "); !ok || !guideLink.MatchString(next) {
			t.Errorf("guides/%s links no next guide", name)
		}
	}
}
