# Does with the formula what Homebrew would: for each system, finds the archive that it
# names and compares the checksum; for this one, unpacks it, installs it into a folder
# and runs the formula's test. What a formula is made of is here, as far as ours needs it.
#
#   ruby packaging/homebrew/check.rb FORMULA DIST
require "digest"
require "fileutils"
require "open3"
require "pathname"
require "tmpdir"

formula, dist = ARGV
SYSTEMS = %w[darwin linux].product(%w[amd64 arm64])

class Pathname
  # Homebrew's Pathname can install files, and makes folders as it writes.
  def install(*files)
    mkpath
    files.each { |file| FileUtils.cp(file, self) }
  end

  def write(text)
    dirname.mkpath
    File.write(to_s, text)
  end
end

module Utils
  def self.safe_popen_read(*command)
    out, status = Open3.capture2(*command.map(&:to_s))
    raise "#{command.join(" ")} fails" unless status.success?
    out
  end
end

class Formula
  class << self
    attr_accessor :os, :arch
    attr_reader :check

    # A setting is written as `name value` and read as `name`.
    %i[desc homepage version license url sha256].each do |name|
      define_method(name) { |value = nil| value ? (@set ||= {})[name] = value : (@set ||= {})[name] }
    end

    def on_macos = (yield if os == "darwin")
    def on_linux = (yield if os == "linux")
    def on_arm = (yield if arch == "arm64")
    def on_intel = (yield if arch == "amd64")
    def test(&check) = @check = check
  end

  def initialize(prefix) = @prefix = Pathname(prefix)
  def version = self.class.version
  def bin = @prefix/"bin"
  def man1 = @prefix/"share/man/man1"

  def generate_completions_from_executable(*command, shells:)
    shells.each { |shell| (@prefix/"completions"/shell.to_s).write Utils.safe_popen_read(*command, shell.to_s) }
  end

  def shell_output(command) = Utils.safe_popen_read("sh", "-c", command)
  def assert_match(want, got) = (raise "#{want.inspect} is not in #{got.inspect}" unless got.include?(want))
end

machine = { "x86_64" => "amd64", "aarch64" => "arm64", "arm64" => "arm64" }.fetch(`uname -m`.strip)
here = [`uname -s`.strip.downcase, machine]
raise "Homebrew knows no #{here.join("/")}" unless SYSTEMS.include?(here)
SYSTEMS.each do |os, arch|
  Object.send(:remove_const, :OpenclawMcp) if defined?(OpenclawMcp)
  Formula.singleton_class.define_method(:os) { os }
  Formula.singleton_class.define_method(:arch) { arch }
  load formula
  archive = File.join(dist, File.basename(OpenclawMcp.url))
  raise "#{os}/#{arch} gets #{archive}" unless archive.end_with?("openclaw-mcp_#{os}_#{arch}.tar.gz")
  raise "#{archive} has another checksum" unless OpenclawMcp.sha256 == Digest::SHA256.file(archive).hexdigest
  next unless [os, arch] == here

  Dir.mktmpdir do |dir|
    system("tar", "xzf", File.expand_path(archive), "--strip-components=1", "-C", dir, exception: true)
    made = OpenclawMcp.new("#{dir}/prefix")
    ENV["HOME"] = dir
    Dir.chdir(dir) { made.install }
    made.instance_exec(&OpenclawMcp.check)
    files = Dir.glob("#{dir}/prefix/**/*").select { |file| File.size?(file) && File.file?(file) }
    raise "installed: #{files}" unless files.length == 5
    puts "the formula installs #{OpenclawMcp.version} on #{os}/#{arch}: #{files.map { |file| file.delete_prefix("#{dir}/prefix/") }.join(", ")}"
  end
end
