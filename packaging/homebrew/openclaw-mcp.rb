class OpenclawMcp < Formula
  desc "MCP server for hosted OpenClaw instances"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license "MIT"

  on_macos do
    on_arm do
      url "@DOWNLOADS@/openclaw-mcp_darwin_arm64.tar.gz"
      sha256 "@SHA256_darwin_arm64@"
    end
    on_intel do
      url "@DOWNLOADS@/openclaw-mcp_darwin_amd64.tar.gz"
      sha256 "@SHA256_darwin_amd64@"
    end
  end

  on_linux do
    on_arm do
      url "@DOWNLOADS@/openclaw-mcp_linux_arm64.tar.gz"
      sha256 "@SHA256_linux_arm64@"
    end
    on_intel do
      url "@DOWNLOADS@/openclaw-mcp_linux_amd64.tar.gz"
      sha256 "@SHA256_linux_amd64@"
    end
  end

  def install
    bin.install "openclaw-mcp"
    generate_completions_from_executable(bin/"openclaw-mcp", "completion", shells: [:bash, :zsh, :fish])
    (man1/"openclaw-mcp.1").write Utils.safe_popen_read(bin/"openclaw-mcp", "man")
  end

  test do
    assert_match "openclaw-mcp #{version}", shell_output("#{bin}/openclaw-mcp --version")
  end
end
