# Run in the new root, as the last step of its making.
set -e
# The first file system has what a machine here may boot from, and nothing else.
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=zstd/' /etc/initramfs-tools/initramfs.conf
printf 'virtio_pci\nvirtio_blk\nvirtio_scsi\nsd_mod\nata_piix\next4\n' >> /etc/initramfs-tools/modules
[ -e /vmlinuz ] || ln -s "$(cd / && ls boot/vmlinuz-* | tail -n 1)" /vmlinuz
[ -e /initrd.img ] || ln -s "$(cd / && ls boot/initrd.img-* | tail -n 1)" /initrd.img
update-initramfs -u -k all
systemctl enable systemd-networkd systemd-resolved serial-getty@ttyS0.service qemu-guest-agent.service || true
# Nobody waits for what no machine has.
systemctl mask systemd-networkd-wait-online.service e2scrub_reap.service e2scrub_all.timer apt-daily.timer \
  apt-daily-upgrade.timer dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount
ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
# A machine makes its own.
rm -f /etc/ssh/ssh_host_* /etc/hostname
: > /etc/machine-id
apt-get clean
rm -rf /var/lib/apt/lists/*
