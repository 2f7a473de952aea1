package provider

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// Environment variables that are used if the attributes are not set.
const (
	envEndpoint = "DCVAAS_ENDPOINT"
	envAPIToken = "DCVAAS_API_TOKEN"
)

type providerModel struct {
	Endpoint       types.String `tfsdk:"endpoint"`
	APIToken       types.String `tfsdk:"api_token"`
	APITokenFile   types.String `tfsdk:"api_token_file"`
	OrganizationID types.String `tfsdk:"organization_id"`
	MaxRetries     types.Int64  `tfsdk:"max_retries"`
}

// texts returns the attributes that must not be empty.
func (m *providerModel) texts() map[string]types.String {
	return map[string]types.String{"endpoint": m.Endpoint, "api_token": m.APIToken,
		"api_token_file": m.APITokenFile, "organization_id": m.OrganizationID}
}

// settings are the provider's configuration, with the sources of its values.
type settings struct {
	client.Options
	tokenAttribute string // that the token's errors are about
	endpointSource string
}

// settings reads the provider's configuration. Any attribute that is set has precedence over the
// environment. An unknown value or an empty text is an error: a fallback to the environment could
// act on another organization.
func (p *dcvaasProvider) settings(
	ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse,
) settings {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	m.check(&resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return settings{}
	}
	s := settings{Options: client.Options{MaxRetries: client.DefaultMaxRetries,
		OrganizationID: m.OrganizationID.ValueString(),
		UserAgent:      p.userAgent(req.TerraformVersion)}}
	if !m.MaxRetries.IsNull() {
		s.MaxRetries = int(m.MaxRetries.ValueInt64())
	}
	s.readEndpoint(&m, &resp.Diagnostics)
	s.readToken(&m, &resp.Diagnostics)
	s.Log = logTo(s.Token)
	return s
}

// check adds an error for each attribute that is unknown or empty.
func (m *providerModel) check(diags *diag.Diagnostics) {
	if m.MaxRetries.IsUnknown() {
		addUnknown(diags, "max_retries")
	}
	for name, v := range m.texts() {
		switch {
		case v.IsUnknown():
			addUnknown(diags, name)
		case !v.IsNull() && v.ValueString() == "":
			diags.AddAttributeError(path.Root(name), "Empty provider configuration",
				"The value of "+name+
					" is an empty string. Set a value, or set it to null or remove it to use the default.")
		}
	}
}

func addUnknown(diags *diag.Diagnostics, name string) {
	diags.AddAttributeError(path.Root(name), "Unknown provider configuration",
		"The value of "+name+
			" is known only after apply. Use a value that is known at plan time, or first apply the resources that it depends on with -target.")
}

func (s *settings) readEndpoint(m *providerModel, diags *diag.Diagnostics) {
	s.Endpoint, s.endpointSource = m.Endpoint.ValueString(), "the attribute endpoint"
	if m.Endpoint.IsNull() {
		s.Endpoint = os.Getenv(envEndpoint)
		s.endpointSource = "the environment variable " + envEndpoint
	}
	if s.Endpoint == "" {
		diags.AddAttributeError(path.Root("endpoint"), "Missing API endpoint",
			"Set the attribute endpoint or the environment variable "+envEndpoint+
				" to the base URL of the API, such as https://dcvaas.example.com.")
	}
}

func (s *settings) readToken(m *providerModel, diags *diag.Diagnostics) {
	s.tokenAttribute = "api_token"
	switch {
	case !m.APIToken.IsNull():
		s.Token, s.TokenSource = m.APIToken.ValueString(), "the attribute api_token"
	case !m.APITokenFile.IsNull():
		s.tokenAttribute = "api_token_file"
		file := m.APITokenFile.ValueString()
		s.TokenSource = "the file " + file + " (attribute api_token_file)"
		var err error
		if s.Token, err = readTokenFile(file); err != nil {
			diags.AddAttributeError(path.Root(s.tokenAttribute), "Cannot read the API token",
				sentence(err.Error()))
		}
	default:
		s.Token = os.Getenv(envAPIToken)
		s.TokenSource = "the environment variable " + envAPIToken
		if s.Token == "" {
			diags.AddAttributeError(path.Root(s.tokenAttribute), "Missing API token",
				"Set the attribute api_token, the attribute api_token_file, or the environment variable "+
					envAPIToken+".")
		}
	}
}

// readTokenFile returns the token in a file, without white space around it and without the byte
// order mark that some editors write.
func readTokenFile(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(strings.TrimPrefix(string(b), "\ufeff"))
	if token == "" {
		return "", errors.New("the file " + file + " is empty")
	}
	return token, nil
}

// addOptionError adds an error of client.New at the attribute that it is about. It names the source
// of the value.
func (s *settings) addOptionError(diags *diag.Diagnostics, err error) {
	const summary = "Invalid provider configuration"
	var e *client.OptionError
	if !errors.As(err, &e) {
		diags.AddError(summary, sentence(err.Error()))
		return
	}
	attribute, source := "max_retries", ""
	switch e.Option {
	case "Endpoint":
		attribute, source = "endpoint", s.endpointSource
	case "Token":
		attribute, source = s.tokenAttribute, s.TokenSource
	}
	detail := sentence(e.Reason)
	if source != "" {
		detail += "\n\nThe value is from " + source + "."
	}
	diags.AddAttributeError(path.Root(attribute), summary, detail)
}

func (p *dcvaasProvider) userAgent(terraform string) string {
	ua := "terraform-provider-dcvaas/" + p.version
	if terraform != "" {
		ua += " Terraform/" + terraform
	}
	return ua
}
